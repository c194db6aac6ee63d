//! Errors in the shape the Messages API gives them: a JSON body with a type, a message and the request id, which is also a header.
//!
//! Source of statuses and types: the provider's public error reference. What counts as an error is decided by `validate.rs` and `fault.rs`.

use axum::{
    Json,
    http::{HeaderName, HeaderValue, StatusCode},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

/// An answer that refuses a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    pub status: u16,
    pub message: String,
    /// Seconds for the `retry-after` header.
    pub retry_after_s: Option<u64>,
}

impl ApiError {
    pub fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), retry_after_s: None }
    }

    /// A body or header the API does not take.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, message)
    }

    /// The provider's name for a status.
    pub fn kind(&self) -> &'static str {
        match self.status {
            401 => "authentication_error",
            403 => "permission_error",
            404 => "not_found_error",
            413 => "request_too_large",
            429 => "rate_limit_error",
            504 => "timeout_error",
            529 => "overloaded_error",
            400..=499 => "invalid_request_error",
            _ => "api_error",
        }
    }

    pub fn body(&self, request_id: &str) -> Value {
        json!({
            "type": "error",
            "error": { "type": self.kind(), "message": self.message },
            "request_id": request_id,
        })
    }

    pub fn into_response(self, request_id: &str) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self.body(request_id))).into_response();
        let retry = self.status == 429 || self.status >= 500;
        set(&mut response, "request-id", request_id);
        set(&mut response, "x-should-retry", if retry { "true" } else { "false" });
        if let Some(seconds) = self.retry_after_s {
            set(&mut response, "retry-after", &seconds.to_string());
        }
        response
    }
}

/// Sets a header whose value is known to be plain ASCII.
pub(super) fn set(response: &mut Response, name: &'static str, value: &str) {
    let value = HeaderValue::from_str(value).expect("header values of the stand-in are ASCII");
    response.headers_mut().insert(HeaderName::from_static(name), value);
}
