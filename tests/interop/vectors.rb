# Read golden vectors from standard input, and print for each the canonical form and the signature.
require "json"
require_relative "send"

found = JSON.parse($stdin.set_encoding("UTF-8").read).map do |one|
  signed = sign(one["job"], *one.values_at("producer", "key", "timestamp", "nonce"))
  { canonical: canonical(one["job"]), signature: signed[:signature] }
end
puts JSON.generate(found)
