return { head() }
