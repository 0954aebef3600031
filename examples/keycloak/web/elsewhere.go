package web

import (
	"fmt"
	"net/http"

	"github.com/nawasara/nawasync/examples/internal/site"
	"github.com/nawasara/nawasync/examples/keycloak/kcsim/sim"
)

// elsewhereView is the page that changes the simulated Keycloak behind the example's back.
type elsewhereView struct {
	Realm   string
	Done    string // what the last form has done
	Problem string // why it has done nothing
}

// elsewhere shows the forms that change the simulated Keycloak.
func (s *Pages) elsewhere(w http.ResponseWriter, r *http.Request, v elsewhereView) {
	if s.Simulated == nil {
		http.NotFound(w, r)
		return
	}
	v.Realm = s.realm(r)
	p, err := s.Page(r, "Edit at Keycloak", "/elsewhere", v.Realm, "")
	if err != nil {
		s.InternalError(w, err)
		return
	}
	s.Show(w, r, http.StatusOK, elsewhere(p, v))
}

// changeElsewhere changes the simulated Keycloak without a job.
func (s *Pages) changeElsewhere(w http.ResponseWriter, r *http.Request) {
	if s.Simulated == nil {
		http.NotFound(w, r)
		return
	}
	realm, name, value, yes := s.realm(r), site.Clean(r.PostFormValue("name")), site.Clean(r.PostFormValue("value")), r.PostFormValue("yes") == "yes"
	var v elsewhereView
	var err error
	switch r.PathValue("action") {
	case "user":
		err = s.Simulated.PutUser(realm, name, sim.Object{"lastName": value})
		v.Done = fmt.Sprintf("The user %s has the last name %s at Keycloak.", name, value)
	case "remove":
		err = s.Simulated.RemoveUser(realm, name)
		v.Done = fmt.Sprintf("The user %s was deleted at Keycloak.", name)
	case "hide":
		err = s.Simulated.Hide(realm, yes, name)
		v.Done = fmt.Sprintf("The service account may see the user %s: %s.", name, yesNo(!yes))
	case "client":
		err = s.Simulated.PutApp(realm, name, sim.Object{"name": value})
		v.Done = fmt.Sprintf("The client %s has the name %s at Keycloak.", name, value)
	case "revoke":
		err = s.Simulated.Revoke(realm)
		v.Done = "All access tokens of the realm have ended. The next call requests another one."
	case "forbid":
		err = s.Simulated.Forbid(realm, yes)
		v.Done = fmt.Sprintf("The service account has its roles: %s.", yesNo(!yes))
	default:
		http.NotFound(w, r)
		return
	}
	if err != nil {
		v.Done, v.Problem = "", site.Sentence(err)
	}
	s.elsewhere(w, r, v)
}
