//! How a [`Builder`] behaves.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::future::{Either, join_all, select};
use futures::pin_mut;

use crate::ErrorKind;
use crate::artifact::{Artifact, Builder};
use crate::project::Project;

/// What the checks need besides a builder.
#[async_trait]
pub trait BuilderGround: Send + Sync + 'static {
    /// A builder that has built nothing.
    fn builder(&self) -> &dyn Builder;

    /// The same builder on a machine that lacks a tool it needs.
    fn builder_without_tools(&self) -> Box<dyn Builder>;

    /// A project that can be built; each number gives another one.
    fn project(&self, number: u32) -> Project;

    /// A project that cannot be built.
    fn broken_project(&self) -> Project;

    /// Whether the artifact can be started, and is the one of that project. Bounded by a few
    /// seconds.
    async fn starts(&self, artifact: &Artifact, number: u32) -> bool;

    /// Waits.
    async fn sleep(&self, pause: Duration);
}

/// Makes tests of all checks of [`builder`](crate::conformance::builder). The factory is an async
/// function without arguments that gives a smart pointer to a
/// [`BuilderGround`](crate::conformance::builder::BuilderGround), and a guard.
#[macro_export]
macro_rules! builder_conformance {
    ($factory:expr) => {
        $crate::conformance_tests!(
            $factory,
            builder: an_artifact_starts_and_says_what_it_was_built_from,
            building_again_is_quick_and_gives_an_equal_artifact,
            builds_at_the_same_time_do_not_disturb_each_other,
            a_build_that_is_dropped_leaves_nothing_that_is_taken_for_whole,
            a_build_that_fails_leaves_nothing_that_is_taken_for_whole,
            a_missing_tool_is_unavailable_and_says_what_to_do,
        );
    };
}

/// With the project's own variables.
pub async fn an_artifact_starts_and_says_what_it_was_built_from(ground: &dyn BuilderGround) {
    let project = ground.project(1);
    let artifact = ground.builder().build(&project).await.expect("an artifact");
    assert_eq!(artifact.digest, project.digest());
    assert_eq!(artifact.environment, project.environment);
    assert!(ground.starts(&artifact, 1).await);
}

/// Within a second.
pub async fn building_again_is_quick_and_gives_an_equal_artifact(ground: &dyn BuilderGround) {
    let first = ground
        .builder()
        .build(&ground.project(1))
        .await
        .expect("an artifact");
    let start = Instant::now();
    let second = ground
        .builder()
        .build(&ground.project(1))
        .await
        .expect("an artifact");
    let took = start.elapsed();
    assert_eq!(second, first);
    assert!(took < Duration::from_secs(1), "took {took:?}");
}

/// Of the same project, and of others.
pub async fn builds_at_the_same_time_do_not_disturb_each_other(ground: &dyn BuilderGround) {
    let numbers = [1, 2, 1, 3, 1, 2];
    let builds = numbers.map(|number| async move {
        let artifact = ground.builder().build(&ground.project(number)).await;
        (number, artifact.expect("an artifact"))
    });
    for (number, artifact) in join_all(builds).await {
        assert_eq!(artifact.digest, ground.project(number).digest());
        assert!(ground.starts(&artifact, number).await, "{number}");
    }
}

/// At whatever moment it is dropped.
pub async fn a_build_that_is_dropped_leaves_nothing_that_is_taken_for_whole(
    ground: &dyn BuilderGround,
) {
    for (number, moment) in (1_u32..).zip([0_u64, 2, 10, 30, 60, 100, 150, 200, 300, 500, 800]) {
        let project = ground.project(number);
        {
            let build = ground.builder().build(&project);
            let end = ground.sleep(Duration::from_millis(moment));
            pin_mut!(build, end);
            if let Either::Left((artifact, _)) = select(build, end).await {
                artifact.expect("an artifact");
            }
        }
        let artifact = ground.builder().build(&project).await;
        let artifact =
            artifact.unwrap_or_else(|error| panic!("after {moment} ms: {}", error.report()));
        assert!(ground.starts(&artifact, number).await, "after {moment} ms");
    }
}

/// It fails again, and does not disturb another.
pub async fn a_build_that_fails_leaves_nothing_that_is_taken_for_whole(ground: &dyn BuilderGround) {
    for _ in 0..2 {
        let outcome = ground.builder().build(&ground.broken_project()).await;
        assert!(outcome.is_err(), "a broken project was built");
    }
    let artifact = ground
        .builder()
        .build(&ground.project(1))
        .await
        .expect("an artifact");
    assert!(ground.starts(&artifact, 1).await);
}

/// That is, what to install.
pub async fn a_missing_tool_is_unavailable_and_says_what_to_do(ground: &dyn BuilderGround) {
    let outcome = ground
        .builder_without_tools()
        .build(&ground.project(1))
        .await;
    let error = outcome.expect_err("a tool is missing");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.message().contains("install"), "{error}");
}
