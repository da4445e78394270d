package require sqlite3
lassign $argv hnsw database steps

proc connect {} {
	sqlite3 db $::database
	db timeout 5000
	db enable_load_extension 1
	db eval {SELECT load_extension($::hnsw)}
}

# A Tcl byte array is bound as a BLOB where the parameter is @value.
proc show {sql} {
	puts [join [uplevel 1 [list db eval $sql]] " "]
}

connect
set in [open $steps]
while {[gets $in line] >= 0} {
	lassign [split $line "\t"] op a b
	set k 3
	switch $op {
		E { db eval $a }
		Q { show $a }
		B { set value [binary format H* $a]; show [string map {?1 @value ?2 $k} $b] }
		T { set value $a; show [string map {?1 $value ?2 $k} $b] }
		F {
			set value [binary format H* $a]
			if {[catch {show [string map {?1 @value ?2 $k} $b]} message]} {
				puts [expr {[string match *dimensions* $message] ? "refused" : $message}]
			}
		}
		C { db close; connect }
	}
}
db close
