//! The commands in the documentation are commands.

use clap::Parser;

use super::Cli;

const PAGES: [(&str, &str); 6] = [
    ("README.md", include_str!("../../../../README.md")),
    ("docs/apis.md", include_str!("../../../../docs/apis.md")),
    (
        "docs/discovery.md",
        include_str!("../../../../docs/discovery.md"),
    ),
    (
        "docs/gateway.md",
        include_str!("../../../../docs/gateway.md"),
    ),
    (
        "docs/projects.md",
        include_str!("../../../../docs/projects.md"),
    ),
    (
        "docs/servers.md",
        include_str!("../../../../docs/servers.md"),
    ),
];

/// The words of each command of `mcphub` in the blocks of a page that are for a shell.
fn commands(page: &str) -> Vec<Vec<String>> {
    let blocks = page.split("```sh\n").skip(1);
    let blocks = blocks.filter_map(|block| block.split("```").next());
    let lines: Vec<String> = blocks
        .flat_map(|block| {
            let block = block.replace("\\\n", " ");
            block.lines().map(str::to_owned).collect::<Vec<_>>()
        })
        .collect();
    let commands = lines.iter().flat_map(|line| split(line));
    let ours = commands.filter_map(|words| {
        let at = words.iter().position(|word| word == "mcphub")?;
        // What stands before are variables of the environment.
        let before = &words[..at];
        before
            .iter()
            .all(|word| word.contains('='))
            .then(|| words[at..].to_vec())
    });
    ours.collect()
}

/// The commands of a line: words with quotes, up to a comment. `NAME=$(COMMAND)` is that command.
fn split(line: &str) -> Vec<Vec<String>> {
    let (mut all, mut words, mut word, mut quote) = (Vec::new(), Vec::new(), String::new(), None);
    let mut begun = false;
    for c in line.chars().chain([' ']) {
        match (quote, c) {
            (Some(end), _) if c == end => quote = None,
            (Some(_), _) => word.push(c),
            (None, '\'' | '"') => (quote, begun) = (Some(c), true),
            (None, '#') if !begun && word.is_empty() => break,
            (None, ' ') if begun || !word.is_empty() => {
                let done = std::mem::take(&mut word);
                begun = false;
                if done == "&&" {
                    all.push(std::mem::take(&mut words));
                } else if let Some((_, first)) = done.split_once("=$(") {
                    words.push(first.to_owned());
                } else {
                    words.push(done.trim_end_matches(')').to_owned());
                }
            }
            (None, ' ') => {}
            _ => word.push(c),
        }
    }
    all.push(words);
    all
}

#[test]
fn the_documented_commands_are_commands() {
    let mut found = 0;
    for (name, page) in PAGES {
        for words in commands(page) {
            found += 1;
            let words = words.iter().map(|word| match word.as_str() {
                "URL" => "https://example.com/mcp",
                word => word,
            });
            let words: Vec<_> = words.collect();
            if let Err(error) = Cli::try_parse_from(&words) {
                panic!("{name}: {}: {error}", words.join(" "));
            }
        }
    }
    assert!(found > 40, "{found} commands");
}
