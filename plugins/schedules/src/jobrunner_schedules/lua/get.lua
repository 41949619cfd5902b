-- get: a schedule's row and standing, as of one moment.
--
-- KEYS     rows standing
-- ARGV     1 its name
-- Returns  both, '' for what is not there

return {redis.call('HGET', KEYS[1], ARGV[1]) or '', redis.call('HGET', KEYS[2], ARGV[1]) or ''}
