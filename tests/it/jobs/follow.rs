//! Replicas that follow what jobs write.

use crate::support::{
    client::{create, new_key},
    operator::{NO_USES, Site},
};

/// More rows than a follower reads at once: 40 revisions with 2000 keys each, which are not there.
const MUCH: &str = "DO $$
DECLARE
    head keyward.log_head;
BEGIN
    FOR batch IN 1..40 LOOP
        UPDATE keyward.log_head SET revision = revision + 1, nonce = gen_random_uuid()
        RETURNING * INTO head;
        INSERT INTO keyward.change_log (revision, kind, subject, nonce)
        SELECT head.revision, 'key', 'key_0' || lpad((batch * 2000 + n)::text, 25, '0'), head.nonce
        FROM generate_series(1, 2000) AS n;
    END LOOP;
END $$";

#[tokio::test]
async fn a_follower_reads_what_jobs_wrote_in_several_parts() {
    let site = Site::start(&NO_USES).await;
    let before = create(&mut site.admin(), new_key("Before")).await;
    site.knows(before.revision).await;
    site.database.connect().await.batch_execute(MUCH).await.unwrap();
    let after = create(&mut site.admin(), new_key("After")).await;
    assert_eq!(after.revision, before.revision + 41);
    assert_eq!(site.server.asker().verdict(&after.token, after.revision).await, "ALLOWED");
    assert_eq!(site.server.asker().verdict(&before.token, after.revision).await, "ALLOWED");
    assert_eq!(site.server.count_logged("the change log is broken"), 0);
}
