//! A service that does what its input says (see [`plimsoll_examples::obey`]), to be controlled by `plimsoll ctl`:
//!
//! ```sh
//! PLIMSOLL_CONTROL=1 target/release/obedient
//! ```

#[global_allocator]
static ALLOC: plimsoll::Allocator = plimsoll::Allocator::system();

fn main() {
    plimsoll_examples::obey(plimsoll::Session::from_env_or_idle());
}
