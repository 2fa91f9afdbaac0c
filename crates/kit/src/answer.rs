//! The body of an answer: counts the call when it ends, and ends a stream that must not go on.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures::future::BoxFuture;
use http::HeaderMap;
use http_body::Frame;
use prost::bytes::Bytes;
use tokio::time::Instant;
use tonic::{Code, Status, body::Body};

use crate::{
    AppError,
    layer::foreign,
    metrics::Metrics,
    status::{WORDING, Wording},
};

/// Counts a call once, whichever way it ends.
pub(crate) struct Tally {
    metrics: Metrics,
    method: Arc<str>,
    begun: Instant,
    finished: bool,
}

impl Tally {
    pub(crate) fn new(metrics: Metrics, method: Arc<str>) -> Self {
        Self {
            metrics,
            method,
            begun: Instant::now(),
            finished: false,
        }
    }

    pub(crate) fn finish(mut self, code: Code) {
        self.count(code);
    }

    fn count(&mut self, code: Code) {
        if !std::mem::replace(&mut self.finished, true) {
            self.metrics.call(&self.method, code, self.begun.elapsed());
        }
    }
}

/// The caller has gone before the end.
impl Drop for Tally {
    fn drop(&mut self) {
        self.count(Code::Cancelled);
    }
}

pub(crate) struct Answer {
    inner: Body,
    tally: Tally,
    wording: Wording,
    end: Option<BoxFuture<'static, AppError>>,
    ended: bool,
}

impl Answer {
    /// `end` resolves when the stream must not go on.
    pub(crate) fn new(
        inner: Body,
        tally: Tally,
        wording: Wording,
        end: Option<BoxFuture<'static, AppError>>,
    ) -> Self {
        Self {
            inner,
            tally,
            wording,
            end,
            ended: false,
        }
    }

    fn last(&mut self, error: AppError) -> Frame<Bytes> {
        self.ended = true;
        let status = WORDING.sync_scope(self.wording, || Status::from(error));
        self.tally.count(status.code());
        let mut trailers = HeaderMap::new();
        // Ours are always words that fit into a header.
        let _ = status.add_header(&mut trailers);
        Frame::trailers(trailers)
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        if this.ended {
            return Poll::Ready(None);
        }
        if let Some(end) = &mut this.end
            && let Poll::Ready(error) = end.as_mut().poll(cx)
        {
            return Poll::Ready(Some(Ok(this.last(error))));
        }
        let frame = ready!(Pin::new(&mut this.inner).poll_frame(cx));
        let trailers = match &frame {
            Some(Ok(frame)) => frame.trailers_ref(),
            Some(Err(_)) => None,
            None => {
                this.tally.count(Code::Ok);
                None
            }
        };
        if let Some(status) = trailers.and_then(Status::from_header_map) {
            if let Some(error) = foreign(&status) {
                return Poll::Ready(Some(Ok(this.last(error))));
            }
            this.tally.count(status.code());
        }
        Poll::Ready(frame)
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.inner.size_hint()
    }
}
