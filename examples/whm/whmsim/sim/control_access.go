package sim

// ControlToken returns the token that requests to the control API need.
func (s *Server) ControlToken() string { return s.controlToken }
