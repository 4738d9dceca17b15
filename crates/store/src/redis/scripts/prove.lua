-- The prelude has sealed what does not go on from where the gateway saw it.
return { 'done' }
