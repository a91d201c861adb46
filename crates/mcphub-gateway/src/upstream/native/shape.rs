//! Answers that a call wants otherwise than as they come: several pages as one, chosen fields, the
//! rest of a long one.

use mcphub_core::call::{
    Arguments, Content, HttpAnswer, HttpRequest, Next, PageRequest, Pages, Stop, ToolResult, Wanted,
};
use mcphub_core::spec::{Location, SecurityScheme};
use mcphub_core::tool::{OutputShape, Tool};
use mcphub_core::{Error, Result};
use tokio::time::Instant;

use super::budget::Room;
use super::exchange::{self, Allowance, size};
use super::rest::{self, Place};
use super::unanswered::Unanswered;
use super::{Done, Entry, NativeApi, named, shown_url};
use crate::upstream::CallContext;

impl NativeApi {
    /// A call whose answer is not simply passed on.
    ///
    /// # Errors
    /// `InvalidInput` for arguments that do not fit.
    pub(super) async fn shaped(
        &self,
        tool: &Tool,
        entry: &Entry,
        arguments: &Arguments<'_>,
        context: CallContext<'_>,
    ) -> Result<Done> {
        let place = Place::asked(tool, arguments).map_err(|error| named(tool, error))?;
        let argument = rest::argument(tool).unwrap_or_default();
        let others = place.is_some().then(|| arguments.without(argument));
        let arguments = others.as_ref().unwrap_or(arguments);
        let wanted = tool.binding.answer.wanted(arguments);
        let wanted = wanted.map_err(|error| named(tool, error))?;
        if wanted.fields.is_some() && place.is_some() {
            let error = Error::invalid("an answer of which fields are chosen has no rest");
            return Err(named(tool, error.with("argument", argument)));
        }
        let request = self.request(tool, entry, arguments)?;
        let url = request.url.clone();
        let end = Instant::now() + self.client.settings.timeout;
        let allowance = Allowance::until(end)
            .within(context)
            .of(tool)
            .kept_by(self.cache.as_deref());
        let sent = if wanted.pages == 1 || place.is_some() {
            let allowance = allowance.from(place.as_ref());
            let sent = self.send(tool, request, allowance).await;
            self.in_the_end(tool, entry, arguments, sent, allowance)
                .await
                .map(|(answer, room)| (answer, room, None))
        } else {
            self.paged(tool, entry, arguments, request, &wanted, allowance)
                .await
        };
        let (mut answer, room, pages) = match sent {
            Ok(sent) => sent,
            Err(unanswered) => return Ok(unanswered.into()),
        };
        if wanted.fields.is_some() && answer.cut.as_ref().is_some_and(|cut| cut.in_pieces) {
            let bound = size(self.client.settings.max_response);
            let text = format!(
                "The API answered more than {bound}, too much to choose fields of; ask for less"
            );
            return Ok(ToolResult::error(text).into());
        }
        let fields = wanted.pick(&mut answer);
        let result = ToolResult::from_answer(&answer, tool.binding.output, &shown_url(&url));
        let result = self.checked(tool, entry, result, answer.status).once();
        let trouble = Done::trouble_of(&answer);
        let cut = answer.cut.map(|cut| cut.note);
        Ok(Done {
            result: result.noted(cut).noted(pages).noted(fields),
            room,
            trouble,
        })
    }

    /// The pages that are wanted as one answer, and a line about them.
    async fn paged(
        &self,
        tool: &Tool,
        entry: &Entry,
        arguments: &Arguments<'_>,
        request: HttpRequest,
        wanted: &Wanted,
        allowance: Allowance<'_>,
    ) -> Sent {
        let limit = self.client.settings.max_response;
        // All at once and before the first page: whoever has room must not wait for more. The pages
        // so far and the next one may both be as large as an answer.
        let mut room = exchange::room(&self.client, 2 * limit, allowance.end())
            .await
            .ok_or_else(|| {
                "The gateway holds too many large answers at once to read pages. Ask again later"
                    .to_owned()
            })?;
        let allowance = allowance.with_room();
        let again = request.clone();
        let sent = self.send(tool, request, allowance).await;
        let (mut first, _) = self
            .in_the_end(tool, entry, arguments, sent, allowance)
            .await?;
        let pages = tool.binding.answer.pages.as_ref();
        let pages = pages.and_then(|pages| {
            let asked = PageRequest::of(pages, &again);
            Pages::begin(pages, self.secrets_in_query(), asked, &first)
        });
        let Some(mut pages) = pages else {
            room.shrink(first.body.len());
            return Ok((first, room, None));
        };
        let mut stop = Stop::Enough;
        while pages.count() < wanted.pages as usize {
            let Next::At(page) = pages.next().clone() else {
                break;
            };
            let mut request = again.clone();
            if page.put_into(&tool.binding, &mut request).is_none() {
                stop = Stop::Failed("the body cannot say which page".to_owned());
                break;
            }
            match self.send(tool, request, allowance).await {
                Ok((answer, _)) if !(200..300).contains(&answer.status) => {
                    stop = Stop::Failed(text_of(&answer));
                    break;
                }
                Ok((answer, _))
                    if answer.cut.is_some() || pages.len() + answer.body.len() > limit =>
                {
                    stop = Stop::TooLarge(size(limit));
                    break;
                }
                Ok((answer, _)) => {
                    if !pages.add(page, &answer) {
                        stop = Stop::Failed("its answer has no list".to_owned());
                        break;
                    }
                }
                Err(why) => {
                    stop = Stop::Failed(why.text);
                    break;
                }
            }
        }
        let note = pages.note(&tool.binding, &stop);
        first.body = pages.merged().into();
        room.shrink(first.body.len());
        Ok((first, room, Some(note)))
    }

    /// The names of query parameters that hold credentials.
    fn secrets_in_query(&self) -> Vec<&str> {
        let schemes = self.set.security_schemes.values();
        let names = schemes.filter_map(|scheme| match scheme {
            SecurityScheme::ApiKey {
                location: Location::Query,
                name,
            } => Some(name.as_str()),
            _ => None,
        });
        names.collect()
    }
}

/// An answer with the room that it takes and a line about its pages, or why there is none.
type Sent = std::result::Result<(HttpAnswer, Room, Option<String>), Unanswered>;

/// What is told of an answer that is no success.
fn text_of(answer: &HttpAnswer) -> String {
    let result = ToolResult::from_answer(answer, OutputShape::None, "");
    match result.content.into_iter().next() {
        Some(Content::Text { text }) => text,
        _ => String::new(),
    }
}
