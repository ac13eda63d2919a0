//! Asks programs for the terminal: in a thread, since an answer may take seconds and keys do not wait.

use std::sync::mpsc::{Receiver, TryRecvError, channel};

use plimsoll_format::control::{Answer, Request};

use crate::control;
use crate::follow::{AskError, Picture, ask_program};
use crate::present::{answer_text, safe};

use super::control::Whom;

/// What a program answered, in words, or why it did not do it.
type Came = Result<String, String>;

/// Begins to ask.
pub(super) fn ask(now: &Picture, whom: Whom, request: Request) -> Receiver<Came> {
    let (sender, receiver) = channel();
    let followed = match &whom {
        Whom::Capture { id, .. } => now.capture(id).cloned(),
        _ => None,
    };
    let failed = sender.clone();
    let run = move || {
        let answer = match &whom {
            Whom::Capture { pid, program, .. } => match followed {
                Some(followed) => followed.ask(&request),
                // It was stopped, and is not followed any more.
                None => ask_program(*pid, program, &request),
            },
            Whom::TheOne => control::the_one().and_then(|one| one.ask(&request)).map_err(AskError::from),
        };
        let came = match answer {
            Ok(Answer::Refused(why)) => Err(safe(&why).into_owned()),
            Ok(answer) => Ok(answer_text(&answer)),
            Err(error) => Err(error.to_string()),
        };
        // Nobody may be there to hear it.
        let _ = sender.send(came);
    };
    if let Err(error) = std::thread::Builder::new().name("asking".to_owned()).spawn(run) {
        let _ = failed.send(Err(format!("cannot start a thread to ask it with: {error}")));
    }
    receiver
}

/// The answer, once it is there.
pub(super) fn answer(asked: &Receiver<Came>) -> Option<Came> {
    match asked.try_recv() {
        Ok(came) => Some(came),
        Err(TryRecvError::Empty) => None,
        Err(TryRecvError::Disconnected) => Some(Err("the thread that asked it has ended".to_owned())),
    }
}
