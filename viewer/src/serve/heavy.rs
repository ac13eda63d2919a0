//! What needs all events of a capture: few at a time, each answer made once for all who ask for the same, the newest
//! answers kept.

use std::sync::{Arc, Mutex, PoisonError};

use axum::http::StatusCode;
use tokio::sync::{OnceCell, Semaphore};

use crate::follow::{Followed, Look, LookOptions};
use crate::symbolize::Symbolizer;
use crate::view::{Asked, GroupBy};

use super::answer::{Answer, Failure};
use super::state::App;

/// Made at once.
pub(super) const AT_ONCE: usize = 4;
/// Answers kept, and their bytes.
const KEPT: usize = 64;
const KEPT_BYTES: usize = 24 << 20;

/// The newest answers, the one asked for last at the end.
#[derive(Debug)]
pub(super) struct Heavy {
    kept: Mutex<Vec<(String, Arc<OnceCell<Answer>>)>>,
    places: Arc<Semaphore>,
}

impl Default for Heavy {
    fn default() -> Heavy {
        Heavy { kept: Mutex::default(), places: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

impl Heavy {
    /// The answer to a question, which names everything that it depends on: one that is kept, or made now.
    pub(super) async fn answer(
        &self,
        question: String,
        make: impl FnOnce() -> Result<Answer, Failure> + Send + 'static,
    ) -> Result<Answer, Failure> {
        let cell = self.cell(question);
        let make = || async {
            let place = self.places.clone().try_acquire_owned();
            let place = place.map_err(|_| Failure::busy("too many questions at once; ask again in a moment"))?;
            let made = tokio::task::spawn_blocking(move || {
                // Who asked may be gone: the place is taken until this is done.
                let _place = place;
                make()
            });
            made.await.unwrap_or_else(|_| Err(internal("the answer could not be made")))
        };
        let answer = cell.get_or_try_init(make).await.cloned();
        self.forget();
        answer
    }

    fn cell(&self, question: String) -> Arc<OnceCell<Answer>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().position(|(known, _)| *known == question);
        let known = at.map(|at| kept.remove(at)).unwrap_or_else(|| (question, Arc::default()));
        let cell = known.1.clone();
        kept.push(known);
        cell
    }

    /// Keeps to the bounds.
    fn forget(&self) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = |cell: &OnceCell<Answer>| cell.get().map_or(0, |answer| answer.bytes.len());
        let mut sum: usize = kept.iter().map(|(_, cell)| bytes(cell)).sum();
        while kept.len() > KEPT || (sum > KEPT_BYTES && kept.len() > 1) {
            sum -= bytes(&kept.remove(0).1);
        }
    }
}

fn internal(why: &str) -> Failure {
    Failure { status: StatusCode::INTERNAL_SERVER_ERROR, why: why.to_owned() }
}

/// A capture and the part of it that a question is about.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) followed: Arc<Followed>,
    pub(super) asked: Asked,
    app: App,
}

impl Part {
    pub(super) fn new(app: &App, followed: Arc<Followed>, asked: Asked) -> Part {
        if followed.look.is_none() {
            app.follower.want(&followed.id);
        }
        Part { followed, asked, app: app.clone() }
    }

    /// The same capture at another moment.
    pub(super) fn at(&self, asked: Asked) -> Part {
        Part { asked, ..self.clone() }
    }

    /// What says that the capture is another one than before: the newest look, and while there is none what was read.
    pub(super) fn version(&self) -> String {
        let Followed { id, look, latest, .. } = &*self.followed;
        let version = look.as_ref().map_or(latest.at_ns, |look| super::live::unix_ms(look.at));
        format!("{id} {version}")
    }

    /// Sites of the part: the newest look's where all is asked for, else those of a look that is taken now, with these
    /// groupings.
    pub(super) fn look(&self, by: &[GroupBy]) -> Result<Arc<Look>, Failure> {
        if let Some(look) = self.followed.look.as_ref().filter(|_| self.asked.is_of_all()) {
            return Ok(look.clone());
        }
        let options = LookOptions {
            asked: self.asked.clone(),
            by: by.to_vec(),
            symbols: self.app.symbols.clone(),
            names: self.app.names.clone(),
            limit_bytes: self.app.limit_bytes,
            ..LookOptions::default()
        };
        let look = Look::at(&self.followed.path, &options).map_err(|error| Failure::bad(error.to_string()))?;
        Ok(Arc::new(look))
    }

    /// What `work` makes of a look's names.
    pub(super) fn symbolized<T>(&self, look: &Look, work: impl FnOnce(&mut Symbolizer<'_>) -> T) -> T {
        let mut symbolizer = Symbolizer::with_names(&look.profile, &self.app.symbols, &self.app.names);
        let made = work(&mut symbolizer);
        symbolizer.keep_names(&self.app.names);
        made
    }
}
