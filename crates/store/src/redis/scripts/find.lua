return repeated(now()) or { 'nothing' }
