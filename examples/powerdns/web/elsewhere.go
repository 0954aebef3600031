package web

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/nawasara/nawasync/examples/internal/site"
	"github.com/nawasara/nawasync/examples/powerdns/dns"
	"github.com/nawasara/nawasync/examples/powerdns/pdnssim/sim"
)

// elsewhereView is the page that changes the simulated PowerDNS behind the example's back.
type elsewhereView struct {
	Zones   []string
	Done    string // what the last form has done
	Problem string // why it has done nothing
}

// elsewhere shows the form that changes the simulated PowerDNS.
func (s *Pages) elsewhere(w http.ResponseWriter, r *http.Request, v elsewhereView) {
	if s.Simulated == nil {
		http.NotFound(w, r)
		return
	}
	v.Zones = s.Simulated.ZoneNames()
	p, err := s.Page(r, "Edit at PowerDNS", "/elsewhere", s.Server, "")
	if err != nil {
		s.InternalError(w, err)
		return
	}
	s.Show(w, r, http.StatusOK, elsewhere(p, v))
}

// changeElsewhere changes a set of the simulated PowerDNS without a job. Without records, it deletes the set.
func (s *Pages) changeElsewhere(w http.ResponseWriter, r *http.Request) {
	if s.Simulated == nil {
		http.NotFound(w, r)
		return
	}
	zone := site.Clean(r.PostFormValue("zone"))
	set := sim.Set{Name: dns.FullName(site.Clean(r.PostFormValue("name")), zone), Type: strings.ToUpper(site.Clean(r.PostFormValue("type"))), TTL: 300}
	for _, content := range splitLines(r.PostFormValue("records")) {
		set.Records = append(set.Records, sim.Record{Content: content})
	}
	noun := "records"
	if len(set.Records) == 1 {
		noun = "record"
	}
	v := elsewhereView{Done: fmt.Sprintf("The set %s %s has %d %s at PowerDNS.", set.Name, set.Type, len(set.Records), noun)}
	if err := s.Simulated.Put(zone, set); err != nil {
		v.Done, v.Problem = "", site.Sentence(err)
	}
	s.elsewhere(w, r, v)
}
