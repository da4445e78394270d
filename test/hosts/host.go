package main

import (
	"bufio"
	"database/sql"
	"encoding/hex"
	"fmt"
	"log"
	"os"
	"strings"

	sqlite3 "github.com/mattn/go-sqlite3"
)

var db *sql.DB

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// A transaction belongs to one connection, so the pool has one.
func connect() {
	var err error
	db, err = sql.Open("sqlite3_hnsw", os.Args[2])
	check(err)
	db.SetMaxOpenConns(1)
}

func show(text string, args ...interface{}) error {
	rows, err := db.Query(text, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var value string
		check(rows.Scan(&value))
		out = append(out, value)
	}
	if rows.Err() == nil {
		fmt.Println(strings.Join(out, " "))
	}
	return rows.Err()
}

func main() {
	sql.Register("sqlite3_hnsw", &sqlite3.SQLiteDriver{Extensions: []string{os.Args[1]}})
	connect()
	steps, err := os.Open(os.Args[3])
	check(err)
	for lines := bufio.NewScanner(steps); lines.Scan(); {
		f := strings.Split(lines.Text(), "\t")
		switch f[0] {
		case "E":
			_, err = db.Exec(f[1])
			check(err)
		case "Q":
			check(show(f[1]))
		case "B", "F":
			blob, err := hex.DecodeString(f[1])
			check(err)
			err = show(f[2], blob, 3)
			if f[0] == "B" {
				check(err)
			} else if err != nil && strings.Contains(err.Error(), "dimensions") {
				fmt.Println("refused")
			} else {
				fmt.Println(err)
			}
		case "T":
			check(show(f[2], f[1], 3))
		case "C":
			check(db.Close())
			connect()
		}
	}
	check(db.Close())
}
