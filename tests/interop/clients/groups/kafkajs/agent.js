// kafkajs as members of groups: ../README.md has the commands. It has no static members.
'use strict'
const readline = require('readline')
const { Kafka, AssignerProtocol, logLevel } = require('kafkajs')

const nowUs = () => Math.round((performance.timeOrigin + performance.now()) * 1000) // Date.now() has only milliseconds
const line = (kind, member, ...words) => [nowUs(), kind, member, ...words].join(' ') + '\n'
const say = lines => process.stdout.write(lines)

// kafkajs calls its only assignor RoundRobinAssigner; this one deals the same way under the name that the others know.
const roundRobin = ({ cluster }) => ({
  name: 'roundrobin',
  version: 0,
  protocol: ({ topics }) => ({
    name: 'roundrobin',
    metadata: AssignerProtocol.MemberMetadata.encode({ version: 0, topics, userData: Buffer.alloc(0) })
  }),
  async assign ({ members, topics }) {
    const names = members.map(each => each.memberId).sort()
    const dealt = Object.fromEntries(names.map(name => [name, {}]))
    let next = 0
    for (const topic of topics) {
      for (const { partitionId } of cluster.findTopicPartitionMetadata(topic)) {
        const assigned = dealt[names[next++ % names.length]]
        assigned[topic] = [...(assigned[topic] || []), partitionId]
      }
    }
    return names.map(memberId => ({
      memberId,
      memberAssignment: AssignerProtocol.MemberAssignment.encode({ version: 0, assignment: dealt[memberId], userData: Buffer.alloc(0) })
    }))
  }
})

async function join (address, name, group, topic, sessionMs) {
  const kafka = new Kafka({
    clientId: name, brokers: [address], logLevel: logLevel.NOTHING, retry: { initialRetryTime: 50, maxRetryTime: 300, retries: 100 }
  })
  const consumer = kafka.consumer({
    groupId: group, partitionAssigners: [roundRobin], sessionTimeout: sessionMs, rebalanceTimeout: 60000, heartbeatInterval: 300,
    maxWaitTimeInMs: 200
  })
  // Everybody begins anew with every generation; and one that has left by itself, since it found no node, has not said so: others may have
  // had its partitions in between.
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) =>
    say(line('owns', name) + line('owns', name, ...(payload.memberAssignment[topic] || []))))
  consumer.on(consumer.events.REBALANCING, () => say(line('owns', name)))
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  await consumer.run({
    autoCommit: false,
    eachBatch: async ({ batch, isRunning, isStale, resolveOffset, heartbeat }) => {
      if (!isRunning() || isStale() || batch.messages.length === 0) return
      const lines = []
      let next = 0
      for (const { offset, value } of batch.messages) {
        lines.push(line('got', name, batch.partition, offset, value))
        resolveOffset(offset)
        next = Number(offset) + 1
      }
      say(lines.join(''))
      await consumer.commitOffsets([{ topic, partition: batch.partition, offset: String(next) }])
      say(line('committed', name, batch.partition, next))
      await heartbeat()
    }
  })
  return consumer
}

const members = {}
readline.createInterface({ input: process.stdin }).on('line', async command => {
  const [what, name, group, topic, , , sessionMs] = command.split(' ')
  try {
    if (what === 'join') {
      members[name] = join(process.argv[2], name, group, topic, Number(sessionMs))
      await members[name]
    } else {
      await (await members[name]).disconnect()
      say(line('left', name))
    }
  } catch (error) {
    say(line('failed', name, String(error).replaceAll('\n', ' ')))
  }
}).on('close', () => process.exit(0))
