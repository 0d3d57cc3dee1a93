//! Changes to a queue. A terminal is asked for confirmation.

use super::{Act, Move, Resume, Target, list, queue_of};
use crate::admin::tell;
use crate::http::HttpServer;
use crate::names::{Name, percent};
use crate::output::UsageError;
use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;
use std::io::{IsTerminal, Write};
use switchboard_driver::quantity::plural;

pub(super) async fn purge(act: &Act) -> Result<()> {
    let target = &act.target;
    let server = target.server()?;
    if is_asked(act)? {
        ask_for(&purging(depth(&server, target).await?, &target.queue))?;
    }
    let (answer, purged) = post(&server, target, &target.path("purge"), "purged").await?;
    let purged = purged.as_u64().unwrap_or_default();
    tell(target.json, &answer, &format!("Purged {} of {}.", plural(purged, "message"), target.queue))
}

pub(super) async fn move_messages(order: &Move) -> Result<()> {
    let target = &order.act.target;
    let server = target.server()?;
    let mut path = target.path("move");
    let where_to = match &order.to {
        Some(to) => {
            path += &format!("&to={}", percent(&to.0));
            to.to_string()
        }
        None => "where they came from".to_owned(),
    };
    if let Some(count) = order.count {
        path += &format!("&limit={count}");
    }
    let how_many = order.count.map_or_else(|| "all messages".to_owned(), |count| plural(count, "message"));
    confirm(&order.act, &format!("Move {how_many} of {} to {where_to}?", target.queue))?;
    let (answer, value) = ask(&server, target, &path).await?;
    let messages = |field: &str| value[field].as_u64().map(|number| plural(number, "message"));
    let Some(moved) = messages("moved") else {
        // The broker goes on with many after its answer.
        let moving = messages("moving").with_context(|| format!("{} is no broker", server.base()))?;
        return tell(target.json, &answer, &format!("Moving {moving} of {} to {where_to}.", target.queue));
    };
    let sentence = format!("Moved {moved} of {} to {where_to}.", target.queue);
    if value["stayed"].as_u64().unwrap_or_default() == 0 {
        return tell(target.json, &answer, &sentence);
    }
    if target.json {
        tell(true, &answer, "")?;
    }
    bail!(
        "{sentence} {} could not be moved: {}",
        messages("stayed").unwrap_or_default(),
        value["reason"].as_str().unwrap_or_default()
    )
}

pub(super) async fn pause(act: &Act) -> Result<()> {
    let target = &act.target;
    let server = target.server()?;
    confirm(act, &format!("Pause {}? Its consumers get nothing until it is resumed.", target.queue))?;
    let (answer, _) = post(&server, target, &target.path("pause"), "paused").await?;
    tell(target.json, &answer, &format!("Paused {}: `switchboard queues resume` lets it go on.", target.queue))
}

pub(super) async fn resume(resume: &Resume) -> Result<()> {
    let target = &resume.target;
    let server = target.server()?;
    let (answer, _) = post(&server, target, &target.path("resume"), "paused").await?;
    tell(target.json, &answer, &format!("Resumed {}.", target.queue))
}

/// The answer, and the field of it that every such answer has.
async fn post(server: &HttpServer, target: &Target, path: &str, field: &str) -> Result<(String, Value)> {
    let (answer, mut value) = ask(server, target, path).await?;
    let value = value.get_mut(field).map(Value::take);
    Ok((answer, value.with_context(|| format!("{} is no broker", server.base()))?))
}

/// The answer, and its value: null if it is no JSON.
async fn ask(server: &HttpServer, target: &Target, path: &str) -> Result<(String, Value)> {
    let answer = match server.post(path).await {
        Ok(answer) => answer,
        Err(error) => return Err(target.explain(server, error).await),
    };
    let value = serde_json::from_str(&answer).unwrap_or_default();
    Ok((answer, value))
}

/// The number of messages that wait in a queue.
async fn depth(server: &HttpServer, target: &Target) -> Result<u64> {
    let answer = list::ask(server, true).await?;
    let rows = answer["queues"].as_array().into_iter().flatten();
    let mut queues = rows.filter_map(|row| queue_of(row).map(|queue| (queue, row)));
    match queues.find(|(queue, _)| queue.bytes() == target.queue.0) {
        Some((_, row)) => Ok(row["depth"].as_u64().unwrap_or_default()),
        None => Err(target.explain(server, anyhow!("there is no queue {}", target.queue)).await),
    }
}

fn purging(depth: u64, queue: &Name) -> String {
    format!("Delete the {} of {queue}?", plural(depth, "waiting message"))
}

/// Asks on the terminal, unless told not to.
fn confirm(act: &Act, question: &str) -> Result<()> {
    if is_asked(act)? { ask_for(question) } else { Ok(()) }
}

/// Whether there is a question, and somebody to ask.
fn is_asked(act: &Act) -> Result<bool> {
    let has_terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    if !act.yes && !has_terminal {
        return Err(UsageError::of(anyhow!("there is no terminal to ask on: --yes does it without a question")));
    }
    Ok(!act.yes)
}

fn ask_for(question: &str) -> Result<()> {
    let (input, mut output) = (std::io::stdin(), std::io::stderr());
    write!(output, "{question} [y/N] ").and_then(|()| output.flush()).context("cannot ask")?;
    let mut answer = String::new();
    input.read_line(&mut answer).context("cannot read the answer")?;
    if !matches!(answer.trim(), "y" | "Y" | "yes" | "Yes") {
        bail!("nothing was done");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_before_a_purge_has_the_number_of_messages() {
        let queue = Name(b"/queue/q9".to_vec());
        assert_eq!(purging(227, &queue), "Delete the 227 waiting messages of /queue/q9?");
        assert_eq!(purging(1, &queue), "Delete the 1 waiting message of /queue/q9?");
    }
}
