//! Names that were looked up before, for who looks at the same captures again and again: to open a binary takes long, and
//! several times its size in memory.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;

use crate::model::Profile;

use super::Frame;

/// Addresses that are kept, of all captures together: about 40 MB.
const MAX_ADDRESSES: usize = 1 << 16;

/// By module and return address.
type ByAddress<T> = HashMap<(u32, u64), T, RandomState>;

/// What is known of a capture's addresses.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    pub(super) frames: ByAddress<Arc<[Frame]>>,
    /// Names with their generic arguments, in the order of the frames.
    pub(super) short_names: ByAddress<Arc<[Option<Arc<str>>]>>,
}

/// Names by capture, the one used last at the end; all clones are one.
#[derive(Debug, Clone, Default)]
pub struct Names(Arc<Mutex<Vec<(Key, Known)>>>);

/// The session alone could be claimed by another file.
type Key = (u64, PathBuf);

fn key(profile: &Profile) -> Key {
    (profile.header.session, profile.path.clone())
}

impl Names {
    fn lock(&self) -> MutexGuard<'_, Vec<(Key, Known)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn of(&self, profile: &Profile) -> Known {
        let key = key(profile);
        let found = self.lock().iter().find(|(of, _)| *of == key).map(|(_, known)| known.clone());
        found.unwrap_or_default()
    }

    /// Keeps what is known now, beside what others may have found meanwhile, and forgets captures when it is too much.
    pub(super) fn keep(&self, profile: &Profile, mut known: Known) {
        let key = key(profile);
        let mut all = self.lock();
        if let Some(at) = all.iter().position(|(of, _)| *of == key) {
            let before = all.remove(at).1;
            known.frames.extend(before.frames);
            known.short_names.extend(before.short_names);
        }
        all.push((key, known));
        let mut sum: usize = all.iter().map(|(_, known)| known.frames.len()).sum();
        while sum > MAX_ADDRESSES {
            sum -= all.remove(0).1.frames.len();
        }
    }
}
