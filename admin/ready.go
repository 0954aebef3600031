package admin

import (
	"net/http"
	"time"
)

const (
	pingMaxAge  = time.Second
	pingTimeout = 2 * time.Second
)

// ready reports whether the database answers. It needs no permission, so it shows nothing else, and all
// requests share one connection and its answer: whoever sends many takes none from the engine. It does not
// wait for the connections of the pages, because a process is ready although readers use all of them.
func (h *handler) ready(w http.ResponseWriter, r *http.Request) {
	if _, err := h.pings.Get(r.Context()); err != nil {
		writePlain(w, http.StatusServiceUnavailable, "the database does not answer\n")
		return
	}
	writePlain(w, http.StatusOK, "ok\n")
}
