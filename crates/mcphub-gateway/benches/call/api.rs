//! The API: an answer of about 1 kB to whatever it is asked, at next to no cost.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::client;

/// What it answers.
pub const ANSWER: &str = r#"{"isbn":"9780141439600","title":"A Tale of Two Cities","authors":["Charles Dickens"],"price":9.5,"currency":"GBP","stock":14,"tags":["novel","classic","history","london","paris"],"publisher":{"name":"Penguin Classics","city":"London","founded":1946},"description":"After eighteen years as a political prisoner in the Bastille, the ageing Doctor Manette is finally released and reunited with his daughter in England. There the lives of two very different men, Charles Darnay, an exiled French aristocrat, and Sydney Carton, a disreputable but brilliant English lawyer, become enmeshed through their love for Lucie Manette.","reviews":[{"by":"ann","stars":5,"text":"Could not put it down."},{"by":"ben","stars":4,"text":"A slow start and a great end."}],"dimensions":{"height":198,"width":129,"depth":23,"unit":"mm"},"related":["9780141439563","9780141439747","9780141439846"],"updated":"2026-11-20T17:05:00Z"}"#;

pub async fn start() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{ANSWER}",
        ANSWER.len()
    );
    let answer: Arc<[u8]> = answer.into_bytes().into();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = Arc::clone(&answer);
            tokio::spawn(async move {
                stream.set_nodelay(true)?;
                let mut buffer = Vec::with_capacity(4096);
                loop {
                    while let Some(end) = client::message_end(&buffer) {
                        buffer.drain(..end);
                        stream.write_all(&answer).await?;
                    }
                    if stream.read_buf(&mut buffer).await? == 0 {
                        return Ok::<_, std::io::Error>(());
                    }
                }
            });
        }
    });
    address
}
