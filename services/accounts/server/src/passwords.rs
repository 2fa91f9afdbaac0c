//! Passwords: Argon2id, away from the threads that serve, a few at a time.

use std::sync::LazyLock;

use argon2::{
    Argon2, PasswordHash, PasswordHasher, PasswordVerifier, password_hash::generate_salt,
};
use kit::AppError;
use tokio::sync::Semaphore;

/// Each takes 19 MiB and a core: a rush at the door must not starve the house.
static AT_ONCE: Semaphore = Semaphore::const_new(2);

/// Nobody types more; hashing megabytes for strangers is work we need not do.
pub(crate) const MAX_CHARACTERS: usize = 256;

/// What an unknown login is checked against, so that it takes as long as a known one.
static NOBODY: LazyLock<Option<String>> =
    LazyLock::new(|| make(&hex::encode(generate_salt())).ok());

/// A salted hash to store: `$argon2id$v=19$…`.
pub(crate) async fn hash(password: String) -> Result<String, AppError> {
    blocking(move || make(&password))
        .await?
        .map_err(|error| AppError::Internal(format!("a password cannot be hashed: {error}")))
}

/// Whether the password fits. `stored` is `None` for an unknown login, which takes as long and
/// never fits.
pub(crate) async fn verify(password: String, stored: Option<String>) -> Result<bool, AppError> {
    blocking(move || {
        let nobody = NOBODY.as_deref().unwrap_or_default();
        let known = stored.is_some();
        fits(&password, stored.as_deref().unwrap_or(nobody)) && known
    })
    .await
}

fn make(password: &str) -> argon2::password_hash::Result<String> {
    Argon2::default()
        .hash_password(password.as_bytes())
        .map(|hash| hash.to_string())
}

fn fits(password: &str, stored: &str) -> bool {
    PasswordHash::new(stored).is_ok_and(|hash| {
        Argon2::default()
            .verify_password(password.as_bytes(), &hash)
            .is_ok()
    })
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, AppError> {
    let permit = AT_ONCE.acquire().await;
    let result = tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| AppError::Internal(error.to_string()));
    drop(permit);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_right_password_of_a_known_login_fits() {
        let stored = hash("Пароль-1".to_owned()).await.unwrap();
        assert!(stored.starts_with("$argon2id$"));
        let check = |password: &str, stored: Option<&str>| {
            verify(password.to_owned(), stored.map(str::to_owned))
        };
        assert!(check("Пароль-1", Some(&stored)).await.unwrap());
        assert!(!check("пароль-1", Some(&stored)).await.unwrap());
        assert!(!check("Пароль-1", Some("not a hash")).await.unwrap());
        assert!(!check("Пароль-1", None).await.unwrap());
    }
}
