package sim

// HideMailboxes takes mailboxes off the server until ShowMailboxes, as a server does whose disk is not mounted: neither
// listings nor calls find them. It leaves up to keep mailboxes, and returns how many it took off.
func (s *Server) HideMailboxes(keep int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	hidden := 0
	for _, a := range s.accounts {
		for _, m := range a.sortedBoxes() {
			if keep > 0 {
				keep--
				continue
			}
			delete(a.boxes, m.email())
			s.hidden[m.email()] = m
			hidden++
		}
	}
	return hidden
}

// ShowMailboxes puts the hidden mailboxes back, and returns how many. A mailbox that was created meanwhile stays as
// it is, and one without an account is dropped.
func (s *Server) ShowMailboxes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	shown := 0
	for _, a := range s.accounts {
		for email, m := range s.hidden {
			if m.domain == a.domain && a.boxes[email] == nil {
				a.boxes[email] = m
				shown++
			}
		}
	}
	clear(s.hidden)
	return shown
}

// Hidden returns the number of hidden mailboxes.
func (s *Server) Hidden() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.hidden)
}
