//! trie.
