// Wiki serves pages.
package main

import (
	_ "embed"
	"html/template"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/go-chi/chi/v5"
)

//go:embed README.md
var about string

func main() {
	pages := template.Must(template.ParseGlob("templates/*.html"))
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		log.Fatal(err)
	}
	r := chi.NewRouter()
	r.Get("/", func(w http.ResponseWriter, _ *http.Request) {
		if err := pages.Execute(w, time.Now().In(zone)); err != nil {
			log.Print(err)
		}
	})
	r.Get("/about", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(about)) })
	port := os.Getenv("PORT")
	if port == "" {
		port = "8082"
	}
	log.Fatal(http.ListenAndServe(":"+port, r))
}
