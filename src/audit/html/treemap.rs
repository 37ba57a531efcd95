//! A picture of sizes: rectangles whose areas are shares of a whole, as square as can be.

use serde::Serialize;

use crate::amount::size;
use crate::audit::Share;
use crate::inert::inert;

const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 380.0;
/// Most rectangles; the smallest shares are one together.
const TILES: usize = 60;
/// Width of a character of a label, and height of its line.
const CHARACTER: f64 = 7.4;
const LINE: f64 = 15.0;
/// How many colours take turns.
const COLOURS: usize = 6;

/// The picture.
#[derive(Debug, Serialize)]
pub(super) struct Map {
    width: f64,
    height: f64,
    tiles: Vec<Tile>,
    total: String,
}

/// A rectangle.
#[derive(Clone, Debug, Serialize)]
struct Tile {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
    colour: usize,
    name: String,
    size: String,
    /// What of the name fits; empty when nothing does.
    label: String,
    /// The size, where it fits.
    second: String,
}

/// The picture of `sizes`.
pub(super) fn treemap(sizes: &[Share]) -> Map {
    let mut parts: Vec<(String, u64)> = sizes
        .iter()
        .map(|share| {
            let name = if share.owner.is_empty() { "of no distribution" } else { &share.owner };
            (inert(name), share.bytes)
        })
        .filter(|(_, bytes)| *bytes > 0)
        .collect();
    parts.sort_by(|left, right| right.1.cmp(&left.1).then_with(|| left.0.cmp(&right.0)));
    if parts.len() > TILES {
        let rest = parts.split_off(TILES - 1);
        let bytes = rest.iter().map(|(_, bytes)| bytes).sum();
        parts.push((format!("{} smaller ones", rest.len()), bytes));
    }
    let total: u64 = parts.iter().map(|(_, bytes)| bytes).sum();
    let scale = WIDTH * HEIGHT / (total.max(1) as f64);
    let areas: Vec<_> = parts.iter().map(|(_, bytes)| *bytes as f64 * scale).collect();
    let tiles = squarified(&areas, Rect { x: 0.0, y: 0.0, width: WIDTH, height: HEIGHT });
    let tiles = tiles.into_iter().zip(&parts).enumerate();
    let tiles = tiles.map(|(number, (rect, (name, bytes)))| tile(number, rect, name, *bytes));
    Map { width: WIDTH, height: HEIGHT, tiles: tiles.collect(), total: size(total) }
}

fn tile(number: usize, rect: Rect, name: &str, bytes: u64) -> Tile {
    let room = ((rect.width - 10.0) / CHARACTER).max(0.0) as usize;
    let label = match name.chars().count() {
        _ if room < 3 || rect.height < LINE + 4.0 => String::new(),
        len if len <= room => name.to_owned(),
        _ => name.chars().take(room - 1).chain(['…']).collect(),
    };
    let text = size(bytes);
    let fits = !label.is_empty() && rect.height >= 2.0 * LINE + 6.0 && text.len() <= room;
    Tile {
        x: rounded(rect.x),
        y: rounded(rect.y),
        width: rounded(rect.width),
        height: rounded(rect.height),
        colour: number % COLOURS,
        name: name.to_owned(),
        second: if fits { text.clone() } else { String::new() },
        size: text,
        label,
    }
}

fn rounded(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[derive(Clone, Copy, Debug)]
struct Rect {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
}

/// A rectangle for each area, which are sorted, the largest first, and fill `rect` (Bruls, Huizing and van Wijk:
/// Squarified Treemaps, 2000): a row along the shorter side takes areas as long as they get squarer by it.
fn squarified(areas: &[f64], mut rect: Rect) -> Vec<Rect> {
    let mut tiles = Vec::with_capacity(areas.len());
    let mut rest = areas;
    while !rest.is_empty() {
        let side = rect.width.min(rect.height);
        let mut count = 1;
        while count < rest.len() && worst(&rest[..=count], side) <= worst(&rest[..count], side) {
            count += 1;
        }
        let (row, others) = rest.split_at(count);
        rest = others;
        let depth = if side > 0.0 { row.iter().sum::<f64>() / side } else { 0.0 };
        let mut at = 0.0;
        for area in row {
            let len = if depth > 0.0 { area / depth } else { 0.0 };
            tiles.push(match rect.width >= rect.height {
                true => Rect { x: rect.x, y: rect.y + at, width: depth, height: len },
                false => Rect { x: rect.x + at, y: rect.y, width: len, height: depth },
            });
            at += len;
        }
        rect = match rect.width >= rect.height {
            true => Rect { x: rect.x + depth, width: (rect.width - depth).max(0.0), ..rect },
            false => Rect { y: rect.y + depth, height: (rect.height - depth).max(0.0), ..rect },
        };
    }
    tiles
}

/// How long the longest of a row is for its width.
fn worst(row: &[f64], side: f64) -> f64 {
    let sum: f64 = row.iter().sum();
    let (most, least) = (row.first().copied().unwrap_or(0.0), row.last().copied().unwrap_or(0.0));
    let (square, sum) = (side * side, sum * sum);
    (square * most / sum).max(sum / (square * least))
}

#[cfg(test)]
mod tests {
    use crate::audit::Share;
    use crate::audit::html::treemap::{HEIGHT, TILES, WIDTH, treemap};

    fn shares(sizes: &[u64]) -> Vec<Share> {
        let share = |(number, bytes): (usize, &u64)| Share {
            owner: format!("d{number} 1.0"),
            bytes: *bytes,
            files: 1,
        };
        sizes.iter().enumerate().map(share).collect()
    }

    #[test]
    fn areas_are_shares_and_fill_the_whole() {
        let map = treemap(&shares(&[600, 100, 50, 250]));
        let names: Vec<_> = map.tiles.iter().map(|tile| tile.name.as_str()).collect();
        assert_eq!(names, ["d0 1.0", "d3 1.0", "d1 1.0", "d2 1.0"]);
        for (tile, share) in map.tiles.iter().zip([0.6, 0.25, 0.1, 0.05]) {
            let area = tile.width * tile.height / (WIDTH * HEIGHT);
            assert!((area - share).abs() < 0.001, "{tile:?}");
            assert!(tile.x + tile.width <= WIDTH + 0.1 && tile.y + tile.height <= HEIGHT + 0.1);
        }
    }

    #[test]
    fn nothing_and_very_much() {
        assert_eq!(treemap(&[]).tiles.len(), 0);
        assert_eq!(treemap(&shares(&[0, 0])).tiles.len(), 0);
        assert_eq!(treemap(&shares(&[1; 1000])).tiles.len(), TILES);
        let map = treemap(&shares(&[u64::MAX / 2, 1]));
        assert!(map.tiles.iter().all(|tile| tile.width.is_finite() && tile.height.is_finite()));
    }
}
