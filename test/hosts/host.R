library(DBI)
arguments <- commandArgs(trailingOnly = TRUE)

connect <- function() {
  db <- dbConnect(RSQLite::SQLite(), arguments[2], loadable.extensions = TRUE)
  dbGetQuery(db, "SELECT load_extension(?)", params = list(arguments[1]))
  db
}
show <- function(sql, value) {
  params <- if (missing(value)) NULL else list(value, 3)
  cat(as.character(dbGetQuery(db, sql, params = params)[[1]]), "\n", sep = " ")
}
blob <- function(hex) {
  list(as.raw(strtoi(substring(hex, seq(1, nchar(hex), 2), seq(2, nchar(hex), 2)), 16L)))
}

db <- connect()
for (line in readLines(arguments[3])) {
  f <- strsplit(line, "\t")[[1]]
  switch(f[1],
    E = invisible(dbExecute(db, f[2])),
    Q = show(f[2]),
    B = show(f[3], blob(f[2])),
    T = show(f[3], f[2]),
    F = tryCatch(show(f[3], blob(f[2])), error = function(e) {
      cat(if (grepl("dimensions", conditionMessage(e))) "refused" else conditionMessage(e), "\n")
    }),
    C = {
      dbDisconnect(db)
      db <- connect()
    })
}
dbDisconnect(db)
