//! The clock over gRPC.

use api::clock::{
    GetClockRequest, GetClockResponse, SetClockRequest, SetClockResponse,
    clock_service_server::{self, ClockServiceServer},
};
use tonic::{Request, Response, Status};

use crate::{
    AppError, Node,
    clock::{Clock, ClockRefusal},
    wire::{instant, timestamp},
};

/// Shows the clock of a process, and moves it where it is a controlled one.
pub(crate) struct ClockService(Clock);

impl ClockService {
    pub(crate) fn server(node: &Node) -> ClockServiceServer<Self> {
        ClockServiceServer::new(Self(node.clock.clone()))
    }
}

#[tonic::async_trait]
impl clock_service_server::ClockService for ClockService {
    async fn get_clock(
        &self,
        _: Request<GetClockRequest>,
    ) -> Result<Response<GetClockResponse>, Status> {
        Ok(Response::new(GetClockResponse {
            now: Some(timestamp(self.0.now())),
            controlled: self.0.is_controlled(),
        }))
    }

    async fn set_clock(
        &self,
        request: Request<SetClockRequest>,
    ) -> Result<Response<SetClockResponse>, Status> {
        let to = request.get_ref().now.as_ref().and_then(instant);
        let to = to.ok_or_else(|| AppError::violation("now", "must be an instant"))?;
        self.0.set(to).map_err(|refusal| {
            let reason = match refusal {
                ClockRefusal::Real => "CLOCK_NOT_CONTROLLED",
                ClockRefusal::Backwards => "CLOCK_BACKWARDS",
            };
            AppError::precondition(reason, refusal.to_string())
        })?;
        Ok(Response::new(SetClockResponse {
            now: Some(timestamp(self.0.now())),
        }))
    }
}
