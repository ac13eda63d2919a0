//! Libraries that are loaded and unloaded.

use std::ffi::{CString, c_void};

/// A loaded library, unloaded when dropped.
pub(crate) struct Library(*mut c_void);

impl Library {
    /// Loads it, `None` when that is not possible.
    pub(crate) fn open(path: &str) -> Option<Library> {
        let path = CString::new(path).ok()?;
        // SAFETY: the libraries that are loaded here run nothing that could harm.
        let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        (!handle.is_null()).then_some(Library(handle))
    }

    /// Lets its function `call` call back, if it has one.
    pub(crate) fn call_back(&self, function: extern "C" fn()) {
        // SAFETY: a symbol of this name in the libraries that are loaded here is the function that calls another one.
        unsafe {
            let symbol = libc::dlsym(self.0, c"call".as_ptr());
            if !symbol.is_null() {
                std::mem::transmute::<*mut c_void, extern "C" fn(extern "C" fn())>(symbol)(function);
            }
        }
    }
}

impl Drop for Library {
    fn drop(&mut self) {
        // SAFETY: the handle is ours, and nothing of the library is in use any more.
        unsafe { libc::dlclose(self.0) };
    }
}
