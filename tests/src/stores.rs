//! The same tests on every store.

/// Makes of each `async fn name(store: StoreKind)` beside it two tests, `embedded::name` and `redis::name`.
#[macro_export]
macro_rules! on_both_stores {
    ($($name:ident),+ $(,)?) => {
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name($crate::StoreKind::Embedded).await;
            })+
        }
        mod redis {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name($crate::StoreKind::Redis).await;
            })+
        }
    };
}
