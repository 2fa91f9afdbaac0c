//! The body of a request that comes in parts. A slow line brings something all the time; who is
//! silent is not waited for.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use http_body::{Frame, SizeHint};
use prost::bytes::Bytes;
use tokio::time::{Sleep, sleep};
use tonic::{Status, body::Body};

use crate::AppError;

const LONGEST_PAUSE: Duration = Duration::from_secs(30);

pub(super) struct Upload {
    inner: Body,
    /// While the next part is waited for.
    pause: Option<Pin<Box<Sleep>>>,
}

impl Upload {
    pub(super) fn new(inner: Body) -> Self {
        Self { inner, pause: None }
    }
}

impl http_body::Body for Upload {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) {
            this.pause = None;
            return Poll::Ready(frame);
        }
        let begun = || Box::pin(sleep(LONGEST_PAUSE));
        let pause = this.pause.get_or_insert_with(begun);
        ready!(pause.as_mut().poll(cx));
        Poll::Ready(Some(Err(AppError::DeadlineExceeded.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
