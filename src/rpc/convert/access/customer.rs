//! Customers.

use tonic::Status;

use super::{Violations, not_yet, required};
use crate::{
    admin::{
        Effect,
        things::{CustomerPatch, ThingTarget},
    },
    model::{
        customer::{Customer, CustomerId},
        record::ThingName,
    },
    rpc::{
        convert::{effect, limits::limits_to_pb, time_to_pb},
        pb,
    },
};

/// `CreateCustomer`.
pub(in crate::rpc) fn customer_in(
    request: &pb::CreateCustomerRequest,
) -> Result<(Customer, Effect), Status> {
    let mut violations = Violations::default();
    let sent = required(&mut violations, "customer", request.customer.as_ref());
    let customer = sent.and_then(|sent| {
        let domain = violations.domain("customer.domain", &sent.domain);
        let id = violations.required("customer.id", &sent.id, CustomerId::parse);
        let display_name = violations.display_name("customer", &sent.display_name);
        let description = violations.description("customer", &sent.description);
        let limits = violations.limits("customer.limits", &sent.limits);
        Some(Customer {
            domain: domain?,
            id: id?,
            display_name: display_name?,
            description: description?,
            limits: limits?,
            record: not_yet(),
        })
    });
    violations.finish(customer.map(|customer| (customer, effect(request.validate_only))))
}

/// A customer, outward.
pub(in crate::rpc) fn customer_out(customer: &Customer) -> pb::Customer {
    pb::Customer {
        domain: customer.domain.to_string(),
        id: customer.id.to_string(),
        display_name: customer.display_name.as_str().to_owned(),
        description: customer.description.as_str().to_owned(),
        limits: limits_to_pb(&customer.limits),
        create_time: Some(time_to_pb(customer.record.create_time)),
        update_time: Some(time_to_pb(customer.record.update_time)),
        etag: customer.record.etag(),
    }
}

/// `UpdateCustomer`.
pub(in crate::rpc) fn customer_patch(
    request: &pb::UpdateCustomerRequest,
) -> Result<(ThingTarget, CustomerPatch, Effect), Status> {
    let mut violations = Violations::default();
    let absent = pb::Customer::default();
    let sent = request.customer.as_ref().unwrap_or(&absent);
    let domain = violations.domain("customer.domain", &sent.domain);
    let id = violations.required("customer.id", &sent.id, CustomerId::parse);
    let etag = violations.etag("customer.etag", &sent.etag);
    let mut patch = CustomerPatch::default();
    for path in violations.paths(request.update_mask.as_ref()) {
        match path.as_str() {
            "display_name" => {
                patch.display_name = violations.display_name("customer", &sent.display_name);
            }
            "description" => {
                patch.description = violations.description("customer", &sent.description);
            }
            "limits" => patch.limits = violations.limits("customer.limits", &sent.limits),
            _ => violations.unknown_path(path, "display_name, description, limits"),
        }
    }
    let target = domain
        .zip(id)
        .map(|(domain, id)| ThingTarget { name: ThingName::in_domain(&domain, id.as_str()), etag });
    violations.finish(target.map(|target| (target, patch, effect(request.validate_only))))
}
