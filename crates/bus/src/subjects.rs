const PREFIX: &str = "kontakty";

/// `kontakty.contacts.interaction.logged.v1`: a consumer can filter by service, aggregate or event.
pub fn subject(service: &str, event_type: &str, schema_version: u16) -> String {
    format!("{PREFIX}.{service}.{event_type}.v{schema_version}")
}

/// Where a service's events come from.
pub fn source(service: &str) -> String {
    format!("/{PREFIX}/{service}")
}

/// Name of the schema of an event's payload, which is its `$id`.
pub fn data_schema(service: &str, event_type: &str, schema_version: u16) -> String {
    format!("urn:{PREFIX}:event:{service}:{event_type}:v{schema_version}")
}

/// Everything a service says.
pub fn all_subjects(service: &str) -> String {
    format!("{PREFIX}.{service}.>")
}

/// Service, event type and schema version of a subject.
pub(crate) fn parse(subject: &str) -> Option<(&str, &str, u16)> {
    let (service, rest) = subject
        .strip_prefix(PREFIX)?
        .strip_prefix('.')?
        .split_once('.')?;
    let (event_type, version) = rest.rsplit_once(".v")?;
    Some((service, event_type, version.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_tells_service_event_and_version() {
        let subject = subject("contacts", "interaction.logged", 2);
        assert_eq!(subject, "kontakty.contacts.interaction.logged.v2");
        assert_eq!(parse(&subject), Some(("contacts", "interaction.logged", 2)));
        assert_eq!(parse("kontakty.contacts"), None);
        assert_eq!(parse("elsewhere.contacts.interaction.logged.v2"), None);
    }
}
