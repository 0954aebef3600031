package web

import (
	"fmt"
	"net/http"

	"github.com/nawasara/nawasync/examples/cloudflare/cfsim/sim"
	"github.com/nawasara/nawasync/examples/internal/site"
)

// elsewhereView is the page that changes the simulated Cloudflare behind the example's back.
type elsewhereView struct {
	Token    string
	Accounts []string // that the token may see
	Zones    []string
	Done     string // what the last form has done
	Problem  string // why it has done nothing
}

// elsewhere shows the forms that change the simulated Cloudflare.
func (s *Pages) elsewhere(w http.ResponseWriter, r *http.Request, v elsewhereView) {
	if s.Simulated == nil {
		http.NotFound(w, r)
		return
	}
	v.Token = s.token(r) // the token's first account has the same name
	v.Accounts, v.Zones = s.Simulated.AccountNames(v.Token), s.Simulated.ZoneNames(v.Token)
	p, err := s.Page(r, "Edit at Cloudflare", "/elsewhere", v.Token, "")
	if err != nil {
		s.InternalError(w, err)
		return
	}
	s.Show(w, r, http.StatusOK, elsewhere(p, v))
}

const (
	limitSeconds = 15 // how long the simulated Cloudflare refuses calls
	addedRecords = 12 // records of a zone that is added
)

// changeElsewhere changes the simulated Cloudflare without a job.
func (s *Pages) changeElsewhere(w http.ResponseWriter, r *http.Request) {
	if s.Simulated == nil {
		http.NotFound(w, r)
		return
	}
	token, account, zone := s.token(r), site.Clean(r.PostFormValue("account")), site.Clean(r.PostFormValue("zone"))
	var v elsewhereView
	var err error
	switch r.PathValue("action") {
	case "record":
		v.Done, err = s.editElsewhere(r, zone)
	case "open":
		_, err = s.Simulated.AddAccount(token, account, 0)
		v.Done = fmt.Sprintf("The token %s may see a new account, %s. Sync the accounts to see it.", token, account)
	case "close":
		if account == token { // the forms find the token by it
			err = site.FormError("the first account of a token cannot be removed here: choose another one")
		} else {
			err = s.Simulated.RemoveAccount(account)
		}
		v.Done = fmt.Sprintf("The account %s was removed. After two syncs of the accounts, its zones and their records are retired.", account)
	case "add":
		_, err = s.Simulated.AddZone(account, zone, addedRecords)
		v.Done = fmt.Sprintf("The account %s has a new zone, %s, with %d records. Sync the zones to see it.", account, zone, addedRecords)
	case "remove":
		err = s.Simulated.RemoveZone(zone)
		v.Done = fmt.Sprintf("The zone %s was removed. After two syncs of the zones, its records are retired.", zone)
	case "forbid":
		forbidden := r.PostFormValue("forbidden") == "yes"
		err = s.Simulated.Forbid(zone, forbidden)
		v.Done = fmt.Sprintf("The token may see the zone %s: %s.", zone, yesNo(!forbidden))
	case "revoke":
		status := 0
		if r.PostFormValue("revoked") == "yes" {
			status = http.StatusForbidden
		}
		err = s.Simulated.Revoke(token, status)
		v.Done = fmt.Sprintf("The token %s is valid: %s.", token, yesNo(status == 0))
	case "limit":
		err = s.Simulated.Inject(sim.Fault{Mode: sim.ModeRateLimit, Seconds: limitSeconds})
		v.Done = fmt.Sprintf("Cloudflare refuses all calls for %d seconds.", limitSeconds)
	default:
		http.NotFound(w, r)
		return
	}
	if err != nil {
		v.Done, v.Problem = "", site.Sentence(err)
	}
	s.elsewhere(w, r, v)
}

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}

// editElsewhere changes the content of the records with a name and a type, or adds one.
func (s *Pages) editElsewhere(r *http.Request, zone string) (done string, err error) {
	name, kind, content := site.Clean(r.PostFormValue("name")), site.Clean(r.PostFormValue("type")), site.Clean(r.PostFormValue("content"))
	change := sim.Change{Name: &name, Type: &kind, Content: &content}
	for _, record := range s.Simulated.Records(zone) {
		if record.Type == kind && (record.Name == name || record.Name == name+"."+zone) {
			if content == "" {
				return fmt.Sprintf("The record %s was deleted at Cloudflare.", record.Name), s.Simulated.Remove(zone, record.ID)
			}
			change.ID, change.Name, change.Type = record.ID, nil, nil
			break
		}
	}
	record, err := s.Simulated.Put(zone, change)
	return fmt.Sprintf("The record %s %s has the content %s at Cloudflare.", record.Name, record.Type, record.Content), err
}
