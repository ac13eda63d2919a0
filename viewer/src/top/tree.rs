//! The call tree: who calls whom, and what lives below each call.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;

use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::text::Text;
use ratatui::widgets::{Row, Table, TableState};

use crate::follow::Look;
use crate::model::Tally;
use crate::present::units;
use crate::view::GroupBy;

use super::app::App;
use super::draw::note;
use super::words::head;

/// Calls that are kept; of more the rest of each stack is left out.
const MAX_NODES: usize = 200_000;
/// Rows that are made.
const MAX_ROWS: usize = 5_000;

/// The call tree of a look, outermost calls first.
#[derive(Debug, Default)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    roots: Vec<usize>,
}

#[derive(Debug)]
struct Node {
    /// Of its name and its callers': the same in the tree of the next look.
    key: u64,
    name: String,
    live: Tally,
    children: Vec<usize>,
}

/// The same for all trees of this process, and known to no capture.
fn hasher() -> &'static RandomState {
    static HASHER: OnceLock<RandomState> = OnceLock::new();
    HASHER.get_or_init(RandomState::new)
}

impl Tree {
    pub(super) fn of(look: &Look) -> Tree {
        let mut tree = Tree::default();
        let mut places: HashMap<u64, usize> = HashMap::new();
        let Some(view) = look.view(GroupBy::Site, 0) else { return tree };
        for group in view.ranked() {
            let mut parent: Option<usize> = None;
            for call in group.frames.iter().rev() {
                let name = call.name();
                let above = parent.and_then(|parent| tree.nodes.get(parent)).map_or(0, |node| node.key);
                let key = hasher().hash_one((above, &name));
                let at = match places.get(&key) {
                    Some(at) => *at,
                    None if tree.nodes.len() >= MAX_NODES => break,
                    None => tree.add(key, name, parent, look.heap.interval_bytes),
                };
                places.insert(key, at);
                if let Some(node) = tree.nodes.get_mut(at) {
                    node.live += group.live;
                }
                parent = Some(at);
            }
        }
        tree
    }

    fn add(&mut self, key: u64, name: String, parent: Option<usize>, interval_bytes: u64) -> usize {
        let at = self.nodes.len();
        self.nodes.push(Node { key, name, live: Tally::new(interval_bytes), children: Vec::new() });
        match parent.and_then(|parent| self.nodes.get_mut(parent)) {
            Some(parent) => parent.children.push(at),
            None => self.roots.push(at),
        }
        at
    }

    fn by_key(&self, key: u64) -> Option<&Node> {
        self.nodes.iter().find(|node| node.key == key)
    }

    /// Whether a node's calls are shown.
    pub(super) fn is_open(&self, key: u64, turned: &HashSet<u64>) -> bool {
        self.by_key(key).is_some_and(|node| node.is_open(turned))
    }

    /// Depth and node of each row.
    fn rows(&self, turned: &HashSet<u64>) -> Vec<(usize, &Node)> {
        let mut rows = Vec::new();
        let mut open: Vec<(usize, &Node)> = self.sorted(&self.roots).map(|node| (0, node)).collect();
        open.reverse();
        while let Some((depth, node)) = open.pop().filter(|_| rows.len() < MAX_ROWS) {
            rows.push((depth, node));
            if node.is_open(turned) {
                let children: Vec<(usize, &Node)> = self.sorted(&node.children).map(|node| (depth + 1, node)).collect();
                open.extend(children.into_iter().rev());
            }
        }
        rows
    }

    /// Most bytes first.
    fn sorted(&self, nodes: &[usize]) -> impl Iterator<Item = &Node> {
        let mut nodes: Vec<&Node> = nodes.iter().filter_map(|at| self.nodes.get(*at)).collect();
        nodes.sort_by(|one, other| {
            (other.live.estimated_bytes(), &one.name).cmp(&(one.live.estimated_bytes(), &other.name))
        });
        nodes.into_iter()
    }
}

impl Node {
    /// A call that leads to one other alone is open by itself.
    fn is_open(&self, turned: &HashSet<u64>) -> bool {
        (self.children.len() == 1) != turned.contains(&self.key)
    }

    fn sign(&self, turned: &HashSet<u64>) -> &'static str {
        match (self.children.is_empty(), self.is_open(turned)) {
            (true, _) => " ",
            (false, true) => "▾",
            (false, false) => "▸",
        }
    }
}

pub(super) fn draw(app: &mut App, frame: &mut Frame<'_>, area: Rect) {
    let Some(look) = app.look() else { return note(app, frame, area) };
    if app.tree.as_ref().is_none_or(|(of, _)| !std::sync::Arc::ptr_eq(of, &look)) {
        app.tree = Some((look.clone(), Tree::of(&look)));
    }
    let Some((of, tree)) = app.tree.take() else { return };
    let rows = tree.rows(&app.turned);
    let cursor = app.cursor(rows.len());
    app.node = rows.get(cursor).map(|(_, node)| node.key);
    let whole = look.summary.recorded_live.estimated_bytes();
    let room = usize::from(area.width.saturating_sub(30));
    let row = |(depth, node): &(usize, &Node)| {
        let bytes = node.live.measure_bytes();
        let name = format!("{}{} {}", "  ".repeat((*depth).min(room / 4)), node.sign(&app.turned), node.name);
        Row::new([
            Text::from(units::measured_bytes(bytes)).right_aligned(),
            Text::from(units::share(bytes.value, whole)).right_aligned(),
            Text::from(head(&name, room)),
        ])
    };
    let widths = [Constraint::Length(19), Constraint::Length(8), Constraint::Min(10)];
    let header = Row::new([
        Text::from("live below").right_aligned(),
        Text::from("share").right_aligned(),
        Text::from("  call (Enter, ←, → open and close)"),
    ]);
    let table = Table::new(rows.iter().map(row), widths)
        .header(header.style(app.theme.heading()))
        .row_highlight_style(app.theme.chosen());
    frame.render_stateful_widget(table, area, &mut TableState::new().with_selected(cursor));
    app.tree = Some((of, tree));
}
