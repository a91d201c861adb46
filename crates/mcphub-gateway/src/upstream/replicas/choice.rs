//! Which replica a request goes to: a pure function of what is seen of them.

/// What a request's place depends on, of one replica.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    /// Its part of all requests, in percent.
    pub(super) weight: Option<u8>,
    /// Whether it is where the gateway is, as far as anybody said.
    pub(super) near: bool,
    /// Whether it is called.
    pub(super) well: bool,
    /// How many requests it is at.
    pub(super) running: usize,
}

/// What is drawn for a request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Draw {
    /// Below 100.
    pub(super) percent: u8,
    /// Whose turn it is among equals.
    pub(super) turn: usize,
}

/// Replicas that a request was sent to already, a bit for each.
pub(super) type Tried = u16;

/// The replica that a request goes to; `None` when all were tried.
///
/// Those that are not well are asked last. What has a weight is drawn; the rest goes to those that
/// are near, and of them to the one that is at the fewest.
pub(super) fn choose(seen: &[Seen], tried: Tried, draw: Draw) -> Option<usize> {
    let left = |at: usize| tried & bit(at) == 0;
    let any_well = seen.iter().enumerate().any(|(at, it)| left(at) && it.well);
    let open = || {
        let all = seen.iter().enumerate();
        all.filter(move |(at, it)| left(*at) && (it.well || !any_well))
    };
    let mut below = 0;
    for (at, it) in open() {
        below += it.weight.unwrap_or_default();
        if draw.percent < below {
            return Some(at);
        }
    }
    let unweighted = open().any(|(_, it)| it.weight.is_none());
    let group = || open().filter(move |(_, it)| !unweighted || it.weight.is_none());
    let any_near = group().any(|(_, it)| it.near);
    let count = seen.len().max(1);
    group()
        .filter(|(_, it)| it.near || !any_near)
        .min_by_key(|(at, it)| (it.running, (at + count - draw.turn % count) % count))
        .map(|(at, _)| at)
}

/// The bit of a replica.
pub(super) const fn bit(at: usize) -> Tried {
    1 << (at as u32 % Tried::BITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WELL: Seen = Seen {
        weight: None,
        near: true,
        well: true,
        running: 0,
    };

    fn at(percent: u8, turn: usize) -> Draw {
        Draw { percent, turn }
    }

    #[test]
    fn a_request_goes_where_the_fewest_are_and_equals_take_turns() {
        let busy = Seen { running: 2, ..WELL };
        assert_eq!(choose(&[busy, WELL], 0, at(0, 0)), Some(1));
        let turns = [0, 1, 2, 3].map(|turn| choose(&[WELL, busy, WELL], 0, at(0, turn)));
        assert_eq!(turns, [Some(0), Some(2), Some(2), Some(0)]);
    }

    #[test]
    fn a_weight_is_a_part_of_all_and_no_more() {
        let canary = Seen {
            weight: Some(5),
            ..WELL
        };
        let busy = Seen { running: 9, ..WELL };
        let taken = (0..100).filter(|percent| {
            choose(&[busy, canary], 0, at(*percent, usize::from(*percent))) == Some(1)
        });
        assert_eq!(taken.count(), 5);
        // It takes what nobody else can.
        assert_eq!(choose(&[busy, canary], bit(0), at(99, 0)), Some(1));
        let down = Seen {
            well: false,
            ..canary
        };
        assert_eq!(choose(&[busy, down], 0, at(0, 0)), Some(0));
    }

    #[test]
    fn what_is_far_or_not_well_is_asked_when_nothing_else_is_left() {
        let far = Seen {
            near: false,
            ..WELL
        };
        let busy = Seen { running: 9, ..WELL };
        let down = Seen {
            well: false,
            ..WELL
        };
        let seen = [down, far, busy];
        let mut tried = 0;
        let order = [(); 4].map(|()| {
            let next = choose(&seen, tried, at(0, 0));
            tried |= next.map_or(0, bit);
            next
        });
        assert_eq!(order, [Some(2), Some(1), Some(0), None]);
    }
}
