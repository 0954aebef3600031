package main

import (
	"encoding/json"
	"net/http"
)

// lostResponses is how often the simulator applies a write and then answers 504.
const lostResponses = 0.03

// thingBody is an object as the simulator sends and receives it.
type thingBody struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// routeThings serves the objects that the workers mirror: create, read, update, delete and list.
func (a *remoteAPI) routeThings(mux *http.ServeMux) {
	mux.HandleFunc("GET /things", a.things(func(http.ResponseWriter, *http.Request) (int, any) {
		list := []thingBody{}
		for name, value := range a.log.Things {
			list = append(list, thingBody{name, value})
		}
		return http.StatusOK, list
	}))
	mux.HandleFunc("GET /things/{name}", a.things(func(_ http.ResponseWriter, r *http.Request) (int, any) {
		name := r.PathValue("name")
		value, found := a.log.Things[name]
		if !found {
			return http.StatusNotFound, nil
		}
		return http.StatusOK, thingBody{name, value}
	}))
	mux.HandleFunc("POST /things", a.things(a.createThing))
	mux.HandleFunc("PUT /things/{name}", a.things(a.updateThing))
	mux.HandleFunc("DELETE /things/{name}", a.things(func(_ http.ResponseWriter, r *http.Request) (int, any) {
		name := r.PathValue("name")
		if _, found := a.log.Things[name]; !found {
			return http.StatusNotFound, nil
		}
		delete(a.log.Things, name)
		return a.confirm(r, http.StatusOK), true
	}))
}

// things runs a request under the lock.
func (a *remoteAPI) things(fn func(http.ResponseWriter, *http.Request) (int, any)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		defer a.mu.Unlock()
		status, body := fn(w, r)
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(body)
	}
}

func (a *remoteAPI) createThing(_ http.ResponseWriter, r *http.Request) (int, any) {
	var in thingBody
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		return http.StatusBadRequest, err.Error()
	}
	if _, found := a.log.Things[in.Name]; found {
		return http.StatusConflict, nil
	}
	a.log.Things[in.Name] = in.Value
	a.log.Created[in.Name]++
	return a.confirm(r, http.StatusOK), in
}

func (a *remoteAPI) updateThing(_ http.ResponseWriter, r *http.Request) (int, any) {
	var in thingBody
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		return http.StatusBadRequest, err.Error()
	}
	in.Name = r.PathValue("name")
	if _, found := a.log.Things[in.Name]; !found {
		return http.StatusNotFound, nil
	}
	a.log.Things[in.Name] = in.Value
	return a.confirm(r, http.StatusOK), in
}

// confirm returns the status of a write that was applied. Sometimes the response of a worker's
// write is lost.
func (a *remoteAPI) confirm(r *http.Request, status int) int {
	if r.Header.Get("Client") == "worker" && a.random.Float64() < lostResponses {
		return http.StatusGatewayTimeout
	}
	return status
}
