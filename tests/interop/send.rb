# Send one job with Ruby and the library redis (Debian: ruby-redis): ruby send.rb REDIS_URL '{"refund_id": ...}'
# With PRODUCER and KEY in the environment the job is signed.
require "json"
require "openssl"
require "redis"
require "securerandom"

# The canonical JSON of a job (RFC 8785): sorted by UTF-16 code units. Ruby itself sorts by code points.
def canonical(value)
  case value
  when Array then "[#{value.map { |one| canonical(one) }.join(",")}]"
  when Hash
    fields = value.sort_by { |name, _| name.encode("UTF-16BE").b }
    "{#{fields.map { |name, one| "#{JSON.generate(name)}:#{canonical(one)}" }.join(",")}}"
  else JSON.generate(value)
  end
end

def sign(job, producer, key, timestamp, nonce)
  text = ["v1", producer, timestamp, nonce, canonical(job)].join("\n")
  { producer: producer, timestamp: timestamp, nonce: nonce, signature: OpenSSL::HMAC.hexdigest("SHA256", key, text) }
end

def message_of(job, producer: nil, key: nil)
  own_id = SecureRandom.uuid
  place = "#{job["refund_id"]}/job"
  options = { redis_message_id: place }
  options[:signature] = sign(job, producer, key, Time.now.to_i, own_id) if producer
  text = JSON.generate(
    queue_name: "refunds", actor_name: "request_refund", args: [], kwargs: job, options: options,
    message_id: own_id, message_timestamp: (Time.now.to_f * 1000).to_i
  )
  [place, own_id, text]
end

if $PROGRAM_NAME == __FILE__
  lua = File.read(ENV.fetch("ENQUEUE_LUA", "#{__dir__}/../../worker/upstream/enqueue.lua"), encoding: "UTF-8")
  # Arguments are UTF-8 whatever the locale says.
  job = JSON.parse(ARGV[1].dup.force_encoding("UTF-8"))
  place, own_id, text = message_of(job, producer: ENV["PRODUCER"], key: ENV["KEY"])
  redis = Redis.new(url: ARGV[0])
  queue = "{#{ENV.fetch("NAMESPACE", "refunds")}}:refunds"
  redis.evalsha(redis.script(:load, lua), keys: [queue, "#{queue}.msgs"], argv: [place, own_id, text])
  puts job["refund_id"]
end
