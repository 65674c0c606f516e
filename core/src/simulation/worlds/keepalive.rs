//! Whether keepalive found the streams that something in between had forgotten.

use std::time::Duration;

use super::shape::Shape;
use crate::runtime::Driver;
use crate::runtime::simulated::Loss;
use crate::simulation::world::World;

/// Bytes that were on their way when the stream was forgotten may still come, and the PING goes after what is being written.
const ON_ITS_WAY: Duration = Duration::from_secs(1);

/// [CONN-90], [CONN-92]: within time and timeout, where connections without calls are pinged too.
pub(super) fn check(world: &World, shape: &Shape) {
    // A freeze excuses a silent peer, and a server that had too many pings makes the time longer.
    let Some(bound) = shape.keepalive.filter(|_| world.freezes().is_empty() && world.record().too_many_pings() == 0)
    else {
        return;
    };
    for Loss { opened, forgotten, closed } in world.driver().network().losses() {
        let closed = closed.unwrap_or_else(|| world.driver().now());
        let found = closed.since(forgotten);
        // Before it is usable the deadline of its dial holds.
        if found > bound + ON_ITS_WAY && closed > opened + shape.connect_deadline {
            let at = forgotten.since_start();
            world.wrong(format_args!("the stream forgotten at {at:?} was silent for {found:?}, and {bound:?} is due"));
        }
    }
}
