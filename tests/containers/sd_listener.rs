//! A service manager that only listens: what it is told by sd_notify(3).

use std::os::unix::net::UnixDatagram;
use std::sync::{Arc, Mutex};
use std::thread;

use crate::sys::Outcome;

/// What it was told so far.
#[derive(Clone)]
pub struct Manager(Arc<Mutex<String>>);

impl Manager {
    /// Listens until the tests end. Descriptors that come along are closed: that is the answer to a barrier.
    pub fn listen(path: &str) -> Outcome<Manager> {
        let socket = UnixDatagram::bind(path).map_err(|why| format!("{path}: {why}"))?;
        let manager = Manager(Arc::default());
        let told = manager.0.clone();
        thread::spawn(move || {
            let mut message = [0; 4096];
            while let Ok(length) = socket.recv(&mut message) {
                if let Ok(mut told) = told.lock() {
                    told.push_str(String::from_utf8_lossy(&message[..length]).trim_end());
                    told.push('\n');
                }
            }
        });
        Ok(manager)
    }

    pub fn told(&self) -> String {
        self.0.lock().map_or_else(|_| String::new(), |told| told.clone())
    }
}
