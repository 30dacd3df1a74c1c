"""What goes with what, what comes again, and what is popular: counted, in closed form."""
