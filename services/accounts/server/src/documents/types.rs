//! Which files may be uploaded: judged by what they say they are and by how they begin.

use es::Violation;
use kit::AppError;

/// What an office works with, unless it is configured.
const USUAL: [&str; 17] = [
    "application/pdf",
    "application/msword",
    "application/vnd.ms-excel",
    "application/vnd.ms-powerpoint",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "application/vnd.oasis.opendocument.text",
    "application/vnd.oasis.opendocument.spreadsheet",
    "application/vnd.oasis.opendocument.presentation",
    "application/rtf",
    "image/jpeg",
    "image/png",
    "image/tiff",
    "image/webp",
    "text/csv",
    "text/plain",
];

/// Formats that are such an archive inside: where its first entries do not tell more, the name of
/// the type decides.
const CONTAINERS: [(&str, &str); 4] = [
    ("application/zip", "application/vnd.openxmlformats-"),
    ("application/zip", "application/vnd.oasis.opendocument."),
    ("application/x-ole-storage", "application/msword"),
    ("application/x-ole-storage", "application/vnd.ms-"),
];

/// The type of a file, or why it is not taken.
pub(super) fn judge(
    declared: &str,
    beginning: &[u8],
    configured: &[String],
) -> Result<String, AppError> {
    let declared = declared.split(';').next().unwrap_or_default();
    let declared = match declared.trim().to_lowercase().as_str() {
        // What programs say that do not know.
        "application/octet-stream" => String::new(),
        declared => declared.to_owned(),
    };
    let found = infer::get(beginning).map(|found| found.mime_type());
    // Plain text begins with anything, but has no zero in it.
    let text = found.is_none_or(|found| found.starts_with("text/")) && !beginning.contains(&0);
    let media_type = match found {
        _ if text && declared.starts_with("text/") => &declared,
        None if text && declared.is_empty() => "text/plain",
        Some(found) if declared.is_empty() || declared == found => found,
        Some(found) if is_inside(found, &declared) => &declared,
        _ => return Err(refused("is not what the bytes are".to_owned())),
    };
    let allowed = if configured.is_empty() {
        USUAL.contains(&media_type)
    } else {
        configured.iter().any(|one| one == media_type)
    };
    if allowed {
        return Ok(media_type.to_owned());
    }
    let list = if configured.is_empty() {
        USUAL.join(", ")
    } else {
        configured.join(", ")
    };
    Err(refused(format!("must be one of {list}")))
}

fn is_inside(container: &str, declared: &str) -> bool {
    let mut pairs = CONTAINERS.iter();
    pairs.any(|(outer, inner)| *outer == container && declared.starts_with(inner))
}

fn refused(text: String) -> AppError {
    let field = "header.media_type";
    AppError::Invalid(vec![Violation::because("DOCUMENT_TYPE", field, text)])
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCX: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";

    fn judged(declared: &str, beginning: &[u8]) -> Option<String> {
        judge(declared, beginning, &[]).ok()
    }

    #[test]
    fn bytes_and_words_must_agree() {
        for (declared, beginning, expected) in [
            (
                "application/pdf",
                &b"%PDF-1.7\n"[..],
                Some("application/pdf"),
            ),
            ("", b"%PDF-1.7\n", Some("application/pdf")),
            ("text/plain", b"%PDF-1.7\n", None),
            ("application/pdf", b"MZ\x90\0", None),
            ("text/csv", b"MZ\x90\0\x03\0", None),
            (
                "application/octet-stream",
                b"%PDF-1.7\n",
                Some("application/pdf"),
            ),
            ("", b"MZ\x90\0", None),
            (DOCX, b"PK\x03\x04\x14\0\0\0\x08\0", Some(DOCX)),
            ("application/zip", b"PK\x03\x04\x14\0\0\0\x08\0", None),
            (
                "text/csv; charset=utf-8",
                "а;б\n".as_bytes(),
                Some("text/csv"),
            ),
            ("", "просто текст".as_bytes(), Some("text/plain")),
            ("image/png", b"\x89PNG\r\n\x1a\n", Some("image/png")),
        ] {
            let judged = judged(declared, beginning);
            assert_eq!(judged.as_deref(), expected, "{declared} {beginning:?}");
        }
    }

    #[test]
    fn an_office_may_say_which_ones_it_takes() {
        let only = ["application/zip".to_owned()];
        assert!(judge("", b"PK\x03\x04\x14\0\0\0\x08\0", &only).is_ok());
        let refused = judge("", b"%PDF-1.7\n", &only).unwrap_err();
        assert_eq!(refused.reason(), "DOCUMENT_TYPE");
        let AppError::Invalid(violations) = refused else {
            panic!("a fault of the request")
        };
        assert_eq!(violations[0].description, "must be one of application/zip");
    }
}
