"""Words that every other domain package uses: errors, identity, time, money."""
