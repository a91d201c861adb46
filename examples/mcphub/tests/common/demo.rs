//! The bookshop API on loopback, inside the test process.

use std::net::SocketAddr;
use std::thread::{self, JoinHandle};

use mcphub_cli::demo_api::{API_KEY, DOCUMENT, DemoApi};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// A running bookshop, closed when this is dropped.
#[derive(Debug)]
pub struct Bookshop {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Bookshop {
    /// Opens a shop with full shelves on a free port.
    pub fn open() -> Self {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let address = listener
            .local_addr()
            .expect("a bound listener has an address");
        listener
            .set_nonblocking(true)
            .expect("a listener can be made non-blocking");
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = runtime.expect("a runtime");
        let thread = thread::spawn(move || {
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).expect("a non-blocking listener");
                tokio::select! {
                    ended = DemoApi::new().serve(listener) => panic!("the bookshop closed: {ended:?}"),
                    _ = stopped => {}
                }
            });
        });
        Self {
            address,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// Where the API is.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The API's document.
    pub fn document() -> &'static str {
        DOCUMENT
    }

    /// The header that the write operations ask for, as `--header` takes it.
    pub fn key_header() -> String {
        format!("X-Api-Key: {API_KEY}")
    }
}

impl Drop for Bookshop {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic in the shop has failed the test's calls already.
            let _ = thread.join();
        }
    }
}
