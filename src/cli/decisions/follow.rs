//! Showing decisions as they are made.

use tokio::signal::ctrl_c;
use tonic::{Request, Streaming};

use super::fields::COLUMNS;
use crate::{
    cli::{
        Ending,
        args::Format,
        error::{CliError, Doubt},
        output::{Cell, Fit, Tone, look, messages, note, text, yaml},
        session::Session,
    },
    rpc::pb::{DecisionFilter, LoggedDecision, WatchDecisionsRequest, WatchDecisionsResponse},
};

/// What columns have as long as nothing is known of what follows; the last takes what is left.
const WIDTHS: [usize; 4] = [19, 20, 30, 34];

/// Shows decisions until Ctrl-C, or until the server ends it.
pub(super) async fn follow(session: &Session, filter: DecisionFilter) -> Result<Ending, CliError> {
    let refused = |status| session.refused(status, Doubt::Nothing);
    let request = Request::new(WatchDecisionsRequest { filter: Some(filter) });
    let answer = session.insight().watch_decisions(request).await.map_err(refused)?;
    let mut decisions: Streaming<WatchDecisionsResponse> = answer.into_inner();
    let mut interrupt = std::pin::pin!(ctrl_c());
    let mut has_begun = false;
    loop {
        let some = tokio::select! {
            some = decisions.message() => some.map_err(refused)?,
            _ = &mut interrupt => return Ok(Ending::Interrupted),
        };
        let Some(some) = some else {
            return Err(CliError::failed(
                format!("{} ended the stream", session.server),
                "call this again to go on",
            ));
        };
        if !has_begun {
            has_begun = true;
            note(&format!("Showing what {} decides from now on; Ctrl-C ends it.", session.server));
        }
        if some.dropped > 0 {
            note(&format!("{} decision(s) were left out: they came too fast.", some.dropped));
        }
        for decision in &some.decisions {
            session.out.print(&shown(session, decision)?)?;
        }
    }
}

fn shown(session: &Session, decision: &LoggedDecision) -> Result<String, CliError> {
    match session.out.format {
        Format::Table => Ok(line(session, decision)),
        Format::Json => Ok(messages::json_line(decision)? + "\n"),
        Format::Yaml => Ok(format!("---\n{}", yaml::document(&messages::value(decision)?))),
    }
}

/// The first columns at fixed widths, then what else there is to say.
fn line(session: &Session, decision: &LoggedDecision) -> String {
    let look = look();
    let told = COLUMNS.iter().filter(|field| field.fit != Fit::Wide);
    let cells: Vec<Cell> = told.map(|field| (field.cell)(decision, look)).collect();
    let (fixed, rest) = cells.split_at(WIDTHS.len().min(cells.len()));
    let mut left = session.out.line_width().unwrap_or(usize::MAX);
    let mut line = String::new();
    let rest = rest.iter().filter(|cell| !cell.is_none()).map(|cell| cell.text.as_str());
    let rest = Cell { text: rest.collect::<Vec<_>>().join("  "), tone: Tone::Faint };
    for (cell, width) in fixed.iter().zip(WIDTHS).chain([(&rest, usize::MAX)]) {
        let room = if session.out.line_width().is_some() { width.min(left) } else { usize::MAX };
        let shown = text::cut(&text::plain(&cell.text), room);
        let taken = text::width(&shown);
        line.push_str(&session.out.style(&shown, cell.tone));
        let blanks = if width == usize::MAX { 0 } else { width.saturating_sub(taken) + 2 };
        let blanks = blanks.min(left.saturating_sub(taken));
        line.push_str(&" ".repeat(blanks));
        left = left.saturating_sub(taken + blanks);
    }
    format!("{}\n", line.trim_end())
}
