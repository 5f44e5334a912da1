//! A trie that is loaded node by node as paths are followed, and changed in memory.

use super::EMPTY_ROOT;
use super::node::{Nodes, RawNode, TrieError, find, take_apart};
use crate::convert::{from_b256, keccak, to_b256};
use alloy_rlp::EMPTY_STRING_CODE;
use alloy_trie::nodes::{BranchNodeRef, ExtensionNodeRef, LeafNodeRef, RlpNode};
use alloy_trie::{Nibbles, TrieMask};
use isolane_spec::H256;
use rayon::prelude::*;

/// A place in a trie where a node may hang.
#[derive(Clone, Debug, Default)]
pub(super) enum Link {
    /// Nothing.
    #[default]
    Empty,
    /// A node that was not looked at yet.
    Reference(RlpNode),
    /// A node in memory; with its reference as long as it is unchanged.
    Loaded(Box<Node>, Option<RlpNode>),
}

#[derive(Clone, Debug)]
pub(super) enum Node {
    Leaf(Nibbles, Vec<u8>),
    Extension(Nibbles, Link),
    Branch(Box<[Link; 16]>),
}

/// A trie below one root.
#[derive(Clone, Debug, Default)]
pub(super) struct SparseTrie {
    root: Link,
}

impl SparseTrie {
    /// A trie of which only the root hash is known.
    pub(super) fn at(root: H256) -> Self {
        if root == EMPTY_ROOT {
            return Self::default();
        }
        Self { root: Link::Reference(RlpNode::word_rlp(&to_b256(root))) }
    }

    /// The value of a key; `None` where the trie proves that there is none.
    pub(super) fn get<'a>(&'a self, nodes: &'a Nodes, key: H256) -> Result<Option<&'a [u8]>, TrieError> {
        let mut path = Nibbles::unpack_array(&key.0);
        let mut link = &self.root;
        loop {
            let node = match link {
                Link::Empty => return Ok(None),
                Link::Reference(reference) => return find(nodes, reference, path),
                Link::Loaded(node, _) => &**node,
            };
            match node {
                Node::Leaf(rest, value) => return Ok((*rest == path).then_some(value)),
                Node::Extension(shared, child) => {
                    if !path.starts_with(shared) {
                        return Ok(None);
                    }
                    path = path.slice(shared.len()..);
                    link = child;
                }
                Node::Branch(children) => {
                    link = child(children, &path)?;
                    path = path.slice(1..);
                }
            }
        }
    }

    /// Sets the value of a key; it must not be empty.
    pub(super) fn insert(&mut self, nodes: &Nodes, key: H256, value: Vec<u8>) -> Result<(), TrieError> {
        insert(&mut self.root, nodes, Nibbles::unpack_array(&key.0), value)
    }

    /// Removes a key, if it is there.
    pub(super) fn remove(&mut self, nodes: &Nodes, key: H256) -> Result<(), TrieError> {
        remove(&mut self.root, nodes, Nibbles::unpack_array(&key.0)).map(drop)
    }

    /// The root hash. `parallel`: on all threads, for large changes.
    pub(super) fn root(&mut self, parallel: bool) -> H256 {
        if parallel && let Link::Loaded(node, None) = &mut self.root {
            hash_children_in_parallel(node);
        }
        let mut buffer = Vec::new();
        let Some(reference) = reference(&mut self.root, &mut buffer) else { return EMPTY_ROOT };
        reference.as_hash().map_or_else(|| keccak(&reference[..]), from_b256)
    }
}

/// Finds the references of a changed root's children, each on its own thread, and keeps them.
fn hash_children_in_parallel(node: &mut Node) {
    match node {
        Node::Branch(children) => children.par_iter_mut().for_each(|link| {
            reference(link, &mut Vec::new());
        }),
        Node::Extension(_, Link::Loaded(below, None)) => {
            if let Node::Branch(children) = &mut **below {
                children.par_iter_mut().for_each(|link| {
                    reference(link, &mut Vec::new());
                });
            }
        }
        _ => {}
    }
}

const BELOW_THE_END: TrieError = TrieError::Malformed("a branch below the end of a path");

fn child<'a>(children: &'a [Link; 16], path: &Nibbles) -> Result<&'a Link, TrieError> {
    path.first().and_then(|nibble| children.get(usize::from(nibble))).ok_or(BELOW_THE_END)
}

fn child_mut<'a>(children: &'a mut [Link; 16], path: &Nibbles) -> Result<&'a mut Link, TrieError> {
    path.first().and_then(|nibble| children.get_mut(usize::from(nibble))).ok_or(BELOW_THE_END)
}

fn reference_to(encoded: &[u8]) -> Result<Link, TrieError> {
    if encoded == [EMPTY_STRING_CODE] {
        return Ok(Link::Empty);
    }
    RlpNode::from_raw(encoded).map(Link::Reference).ok_or(TrieError::Malformed("a reference is too long"))
}

/// Makes sure that the node is in memory.
fn load(link: &mut Link, nodes: &Nodes) -> Result<(), TrieError> {
    let Link::Reference(reference) = link else { return Ok(()) };
    let node = match take_apart(nodes.resolve(reference)?)? {
        RawNode::Leaf(path, value) => Node::Leaf(path, value.to_vec()),
        RawNode::Extension(path, child) => Node::Extension(path, reference_to(child)?),
        RawNode::Branch(encoded) => {
            let mut children: Box<[Link; 16]> = Box::default();
            for (place, encoded) in children.iter_mut().zip(encoded) {
                *place = reference_to(encoded)?;
            }
            Node::Branch(children)
        }
    };
    *link = Link::Loaded(Box::new(node), Some(reference.clone()));
    Ok(())
}

fn leaf(path: Nibbles, value: Vec<u8>) -> Link {
    Link::Loaded(Box::new(Node::Leaf(path, value)), None)
}

/// Puts an extension above a node, unless its path is empty.
fn extend(path: Nibbles, link: Link) -> Link {
    if path.is_empty() { link } else { Link::Loaded(Box::new(Node::Extension(path, link)), None) }
}

fn insert(link: &mut Link, nodes: &Nodes, path: Nibbles, value: Vec<u8>) -> Result<(), TrieError> {
    load(link, nodes)?;
    let Link::Loaded(node, reference) = link else {
        *link = leaf(path, value);
        return Ok(());
    };
    let split = match &mut **node {
        Node::Branch(children) => {
            insert(child_mut(children, &path)?, nodes, path.slice(1..), value)?;
            *reference = None;
            return Ok(());
        }
        Node::Leaf(own, old) if *own == path => {
            if *old != value {
                *old = value;
                *reference = None;
            }
            return Ok(());
        }
        Node::Extension(own, below) if path.starts_with(own) => {
            insert(below, nodes, path.slice(own.len()..), value)?;
            *reference = None;
            return Ok(());
        }
        Node::Leaf(own, _) | Node::Extension(own, _) => own.common_prefix_length(&path),
    };
    // The paths part ways: a branch, with what both share above it.
    let mut children: Box<[Link; 16]> = Box::default();
    let (own, old) = match std::mem::replace(&mut **node, Node::Leaf(Nibbles::new(), Vec::new())) {
        Node::Leaf(own, value) => (own, leaf(own.slice((split + 1).min(own.len())..), value)),
        Node::Extension(own, below) => (own, extend(own.slice((split + 1).min(own.len())..), below)),
        Node::Branch(_) => return Err(BELOW_THE_END),
    };
    *child_mut(&mut children, &own.slice(split..))? = old;
    let rest = path.slice(split..);
    *child_mut(&mut children, &rest)? = leaf(rest.slice(1..), value);
    *link = extend(path.slice(..split), Link::Loaded(Box::new(Node::Branch(children)), None));
    Ok(())
}

/// Removes a path; whether anything changed.
fn remove(link: &mut Link, nodes: &Nodes, path: Nibbles) -> Result<bool, TrieError> {
    load(link, nodes)?;
    let Link::Loaded(node, reference) = link else { return Ok(false) };
    match &mut **node {
        Node::Leaf(own, _) => {
            if *own != path {
                return Ok(false);
            }
            *link = Link::Empty;
            return Ok(true);
        }
        Node::Extension(own, below) => {
            if !path.starts_with(own) || !remove(below, nodes, path.slice(own.len()..))? {
                return Ok(false);
            }
            *reference = None;
            let (own, below) = (*own, std::mem::take(below));
            *link = join(own, below);
        }
        Node::Branch(children) => {
            if !remove(child_mut(children, &path)?, nodes, path.slice(1..))? {
                return Ok(false);
            }
            *reference = None;
            let mut left = (0u8..).zip(children.iter_mut()).filter(|(_, child)| !matches!(child, Link::Empty));
            match (left.next(), left.next()) {
                (None, _) => *link = Link::Empty,
                (Some((nibble, only)), None) => {
                    // A branch with one child is none: its path goes into the child, which must be known for that.
                    load(only, nodes).or_else(|error| match error {
                        // What is a branch stays one: that is all that has to be known of it.
                        TrieError::NodeMissing { hash, .. } if nodes.is_branch(&hash) => Ok(()),
                        TrieError::NodeMissing { hash, .. } => Err(TrieError::NodeMissing { hash, sibling: true }),
                        other => Err(other),
                    })?;
                    let only = std::mem::take(only);
                    let mut path = Nibbles::new();
                    path.push(nibble);
                    *link = join(path, only);
                }
                _ => {}
            }
        }
    }
    Ok(true)
}

/// A path and the loaded node below it, as one node where that is possible.
fn join(path: Nibbles, below: Link) -> Link {
    match below {
        Link::Loaded(node, reference) => match *node {
            Node::Leaf(rest, value) => leaf(path.join(&rest), value),
            Node::Extension(rest, below) => extend(path.join(&rest), below),
            Node::Branch(children) => extend(path, Link::Loaded(Box::new(Node::Branch(children)), reference)),
        },
        Link::Empty => Link::Empty,
        reference @ Link::Reference(_) => extend(path, reference),
    }
}

/// What a parent holds of a node: its hash, or the node itself where it is short. `None` for nothing.
fn reference(link: &mut Link, buffer: &mut Vec<u8>) -> Option<RlpNode> {
    let (node, known) = match link {
        Link::Empty => return None,
        Link::Reference(reference) => return Some(reference.clone()),
        Link::Loaded(_, Some(reference)) => return Some(reference.clone()),
        Link::Loaded(node, known) => (node, known),
    };
    let new = match &mut **node {
        Node::Leaf(path, value) => {
            buffer.clear();
            LeafNodeRef::new(path, value).rlp(buffer)
        }
        Node::Extension(path, below) => {
            let below = reference(below, buffer)?;
            buffer.clear();
            ExtensionNodeRef::new(path, &below).rlp(buffer)
        }
        Node::Branch(children) => {
            let mut mask = TrieMask::default();
            let mut stack = Vec::with_capacity(16);
            for (index, link) in (0u8..).zip(children.iter_mut()) {
                if let Some(reference) = reference(link, buffer) {
                    mask.set_bit(index);
                    stack.push(reference);
                }
            }
            buffer.clear();
            BranchNodeRef::new(&stack, mask).rlp(buffer)
        }
    };
    *known = Some(new.clone());
    Some(new)
}
