package secret

// matcher finds many patterns in one pass over a text (Aho–Corasick). Its time is linear in the text,
// whatever the number of patterns. In patterns and texts, a plus sign counts as a space, because forms
// encode a space as one.
type matcher struct {
	root  [256]int32 // the children of the root; 0 if there is none
	nodes []matchNode
}

// matchNode is a state: the text ends with a prefix of a pattern. Node 0 is the root.
type matchNode struct {
	child, sibling int32
	fail           int32 // the state of the longest proper suffix
	depth          int32 // length of the prefix
	own            bool  // the prefix is a whole pattern
	longest        int32 // length of the longest pattern that the text ends with, 0 for none
	char           byte
}

func newMatcher(patterns []string) *matcher {
	m := &matcher{nodes: make([]matchNode, 1)}
	for _, pattern := range patterns {
		m.add(pattern)
	}
	m.link()
	return m
}

func fold(char byte) byte {
	if char == '+' {
		return ' '
	}
	return char
}

func (m *matcher) add(pattern string) {
	at := int32(0)
	for i := range len(pattern) {
		char := fold(pattern[i])
		next := m.next(at, char)
		if next == 0 {
			next = int32(len(m.nodes)) //nolint:gosec // NewRedactor bounds the patterns
			m.nodes = append(m.nodes, matchNode{char: char, sibling: m.nodes[at].child, depth: m.nodes[at].depth + 1})
			m.nodes[at].child = next
			if at == 0 {
				m.root[char] = next
			}
		}
		at = next
	}
	m.nodes[at].own = true
}

// next returns the child of a node for a byte, or 0.
func (m *matcher) next(node int32, char byte) int32 {
	if node == 0 {
		return m.root[char]
	}
	child := m.nodes[node].child
	for child != 0 && m.nodes[child].char != char {
		child = m.nodes[child].sibling
	}
	return child
}

// step returns the state after one more byte, which is folded already.
func (m *matcher) step(state int32, char byte) int32 {
	for {
		next := m.next(state, char)
		if next != 0 || state == 0 {
			return next
		}
		state = m.nodes[state].fail
	}
}

// link sets fail and longest, by increasing depth.
func (m *matcher) link() {
	queue := []int32{0}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		node := &m.nodes[at]
		node.longest = m.nodes[node.fail].longest
		if node.own {
			node.longest = node.depth
		}
		for child := node.child; child != 0; child = m.nodes[child].sibling {
			if at != 0 {
				m.nodes[child].fail = m.step(node.fail, m.nodes[child].char)
			}
			queue = append(queue, child)
		}
	}
}
