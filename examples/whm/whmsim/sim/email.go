package sim

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// uapi runs a UAPI function as an account.
func (s *Server) uapi(r *http.Request, user, module, function string) map[string]any {
	a := s.byUser(user)
	switch {
	case a == nil:
		return uapiFailed(fmt.Sprintf("The user “%s” does not exist.", user))
	case module != "Email":
		return uapiFailed(fmt.Sprintf("Failed to load module “%s”.", module))
	case a.suspended:
		return uapiFailed("This account is suspended: permission denied.")
	}
	f := emailFunctions[function]
	if f == nil {
		return uapiFailed(fmt.Sprintf("The system could not find the function “%s” in the module “Email”: function not found.", function))
	}
	return f(s, a, r)
}

var emailFunctions = map[string]func(s *Server, a *account, r *http.Request) map[string]any{
	"list_pops":           (*Server).listPops,
	"list_pops_with_disk": (*Server).listPopsWithDisk,
	"get_pop_quota":       (*Server).popQuota,
	"add_pop":             (*Server).addPop,
	"edit_pop_quota":      (*Server).editPopQuota,
	"passwd_pop":          (*Server).passwdPop,
	"delete_pop":          (*Server).deletePop,
	"suspend_login":       setField("suspend_login", func(m *mailbox) { m.suspendedLogin = true }),
	"unsuspend_login":     setField("unsuspend_login", func(m *mailbox) { m.suspendedLogin = false }),
	"suspend_incoming":    setField("suspend_incoming", func(m *mailbox) { m.suspendedIncoming = true }),
	"unsuspend_incoming":  setField("unsuspend_incoming", func(m *mailbox) { m.suspendedIncoming = false }),
	"suspend_outgoing":    setField("suspend_outgoing", func(m *mailbox) { m.suspendedOutgoing = true }),
	"unsuspend_outgoing":  setField("unsuspend_outgoing", func(m *mailbox) { m.suspendedOutgoing = false }),
}

func flagOf(b bool) int {
	if b {
		return 1
	}
	return 0
}

// listPops answers list_pops: rows without quota and disk usage. Like a real server, it also lists
// the account's own login.
func (s *Server) listPops(a *account, r *http.Request) map[string]any {
	rows := []any{map[string]any{"email": a.user, "login": "Main Account", "suspended_incoming": 0, "suspended_login": 0}}
	for _, m := range a.sortedBoxes() {
		rows = append(rows, map[string]any{
			"email": m.email(), "login": m.email(), "suspended_incoming": flagOf(m.suspendedIncoming), "suspended_login": flagOf(m.suspendedLogin),
		})
	}
	return paged(rows, r)
}

func (s *Server) listPopsWithDisk(a *account, r *http.Request) map[string]any {
	rows := []any{}
	for i, m := range a.sortedBoxes() {
		if !strings.Contains(m.email(), r.Form.Get("email")) || (r.Form.Get("domain") != "" && r.Form.Get("domain") != m.domain) {
			continue
		}
		row := map[string]any{
			"email": m.email(), "login": m.email(), "user": m.name, "domain": m.domain, "mtime": 1652457780,
			"_diskquota": m.quota, "_diskused": m.used, "diskused": float64(m.used) / mebibyte, "humandiskused": humanSize(m.used),
			"diskquota": "unlimited", "humandiskquota": "None", "diskusedpercent": 0, "diskusedpercent_float": 0.0,
			"suspended_login": flagOf(m.suspendedLogin), "suspended_incoming": flagOf(m.suspendedIncoming), "suspended_outgoing": flagOf(m.suspendedOutgoing),
		}
		if r.Form.Get("get_restrictions") == "1" {
			row["has_suspended"], row["hold_outgoing"] = flagOf(m.suspendedLogin || m.suspendedIncoming), 0
		}
		if m.quota > 0 {
			percent := float64(m.used) / float64(m.quota) * 100
			row["diskquota"], row["humandiskquota"] = m.quota/mebibyte, humanSize(m.quota)
			row["diskusedpercent"], row["diskusedpercent_float"] = int(percent), percent
		}
		if i%3 == 0 { // some real servers send these numbers as strings
			row["_diskquota"], row["_diskused"] = strconv.FormatInt(m.quota, 10), strconv.FormatInt(m.used, 10)
		}
		rows = append(rows, row)
	}
	return paged(rows, r)
}

// humanSize formats a size as cPanel does, with a no-break space.
func humanSize(bytes int64) string {
	if bytes < mebibyte {
		return fmt.Sprintf("%d\u00a0bytes", bytes)
	}
	return fmt.Sprintf("%d\u00a0MB", bytes/mebibyte)
}

// paged returns the requested page of the rows, or all rows if the request has no pagination.
func paged(rows []any, r *http.Request) map[string]any {
	if r.Form.Get("api.paginate") != "1" {
		return uapiOK(rows)
	}
	size, _ := strconv.Atoi(r.Form.Get("api.paginate_size"))
	if size <= 0 {
		size = 10
	}
	page, _ := strconv.Atoi(r.Form.Get("api.paginate_page"))
	page = max(1, page)
	start := min((page-1)*size, len(rows))
	end := min(start+size, len(rows))
	answer := uapiOK(rows[start:end])
	answer["metadata"] = map[string]any{"paginate": map[string]any{
		"current_page": page, "results_per_page": size, "start_result": start + 1, "total_pages": max(1, (len(rows)+size-1)/size), "total_results": len(rows),
	}}
	return answer
}

// requestedMailbox returns the mailbox of a request and its address. The mailbox is nil if it does
// not exist. The form value email has the full address, or only the local part if the form value
// domain is set.
func requestedMailbox(a *account, r *http.Request) (*mailbox, string) {
	email := r.Form.Get("email")
	if domain := r.Form.Get("domain"); domain != "" && !strings.Contains(email, "@") {
		email += "@" + domain
	}
	return a.boxes[email], email
}

func noMailbox(email string) map[string]any {
	return uapiFailed(fmt.Sprintf("You do not have an email account named “%s”.", email))
}

func (s *Server) addPop(a *account, r *http.Request) map[string]any {
	m, email := requestedMailbox(a, r)
	if m != nil {
		return uapiFailed(fmt.Sprintf("The account “%s” already exists!", email))
	}
	name, domain, _ := strings.Cut(email, "@")
	quota, refusal := quotaOf(r)
	switch {
	case domain != a.domain:
		return uapiFailed(fmt.Sprintf("The domain “%s” is not allowed: it does not belong to this account.", domain))
	case name == "":
		return uapiFailed("Invalid email account name.")
	case refusal != "":
		return uapiFailed(refusal)
	case len(r.Form.Get("password")) < 8:
		return uapiFailed("Sorry, the password may not be used because it is too weak.")
	}
	m = &mailbox{name: name, domain: domain, quota: quota, password: sha256.Sum256([]byte(r.Form.Get("password")))}
	s.countChange(email, "add_pop")
	a.boxes[email] = m
	return uapiOK(name + "+" + domain) // add_pop returns the address with a plus instead of @
}

// maxQuota is the largest quota of a mailbox, in megabytes.
const maxQuota = 4 << 20

// quotaOf returns the quota of a request in bytes, or the reason for refusing the request.
func quotaOf(r *http.Request) (bytes int64, refusal string) {
	text := r.Form.Get("quota")
	if text == "" || text == "unlimited" {
		return 0, ""
	}
	mb, err := strconv.ParseInt(text, 10, 64)
	if err != nil || mb < 0 {
		return 0, fmt.Sprintf("Invalid quota “%s”.", text)
	}
	if mb > maxQuota {
		return 0, fmt.Sprintf("The quota must be at most %d MB.", maxQuota)
	}
	return mb * mebibyte, ""
}

func (s *Server) editPopQuota(a *account, r *http.Request) map[string]any {
	m, email := requestedMailbox(a, r)
	if m == nil {
		return noMailbox(email)
	}
	quota, refusal := quotaOf(r)
	if refusal != "" {
		return uapiFailed(refusal)
	}
	if a.plan == "business" {
		quota = min(quota, businessLimit*mebibyte) // like a real server, without a word
	}
	m.quota = quota
	s.countChange(email, "edit_pop_quota")
	return uapiOK(nil)
}

func (s *Server) passwdPop(a *account, r *http.Request) map[string]any {
	m, email := requestedMailbox(a, r)
	if m == nil {
		return noMailbox(email)
	}
	if len(r.Form.Get("password")) < 8 {
		return uapiFailed("Sorry, the password may not be used because it is too weak.")
	}
	m.password = sha256.Sum256([]byte(r.Form.Get("password")))
	s.countChange(email, "passwd_pop")
	return uapiOK(nil)
}

func (s *Server) deletePop(a *account, r *http.Request) map[string]any {
	m, email := requestedMailbox(a, r)
	if m == nil {
		return noMailbox(email)
	}
	delete(a.boxes, email)
	s.countChange(email, "delete_pop")
	return uapiOK(nil)
}

func (s *Server) popQuota(a *account, r *http.Request) map[string]any {
	m, email := requestedMailbox(a, r)
	switch {
	case m == nil:
		return noMailbox(email)
	case r.Form.Get("as_bytes") == "1":
		return uapiOK(m.quota)
	case m.quota == 0:
		return uapiOK("unlimited")
	}
	return uapiOK(m.quota / mebibyte)
}

// setField returns a function that changes a mailbox and counts the change.
func setField(function string, change func(*mailbox)) func(*Server, *account, *http.Request) map[string]any {
	return func(s *Server, a *account, r *http.Request) map[string]any {
		m, email := requestedMailbox(a, r)
		if m == nil {
			return noMailbox(email)
		}
		change(m)
		s.countChange(email, function)
		return uapiOK(nil)
	}
}
