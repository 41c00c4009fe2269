// The line protocol of docs/command.md for Node.js: one JSON object a line, over descriptor 3. No dependency.
// All of it but uploads.
'use strict'

const net = require('node:net')

class CallEnded extends Error {
  constructor (message) {
    super(`${message.end}: ${message.code}: ${message.text}`)
    Object.assign(this, { end: message.end, code: message.code, grant: message.grant, detail: message.detail })
  }
}

class Hand {
  // methods: name → async (call, arguments) => value. A call has id, method, resource, labels, deadline, and:
  //   call.send(buffer)                         stream a piece of the reply
  //   call.make(method, resource, arguments)    make a call in its name; a promise of the value
  //   call.stream(method, resource, arguments)  the same, with a streamed reply: an async iterator of buffers
  // hear: what is given the events that were subscribed to: publisher, name, body, labels, missed
  constructor (methods, hear = () => {}) {
    this.methods = methods
    this.hear = hear
    this.settings = {}
    this.next = 1
    this.made = new Map() // id of a call that we made → what hears of it
    this.cancelled = new Set() // id of a call that we answer and whose caller has left
    this.socket = new net.Socket({ fd: 3, readable: true, writable: true })
    this.socket.setEncoding('utf8')
    let rest = ''
    this.socket.on('data', text => {
      const lines = (rest + text).split('\n')
      rest = lines.pop()
      for (const line of lines) this.take(JSON.parse(line))
    })
    this.socket.on('end', () => process.exit(0))
  }

  tell (message) {
    this.socket.write(JSON.stringify(message) + '\n')
  }

  log (event, fields = {}, level = 'info') {
    this.tell({ type: 'log', event, fields, level })
  }

  // each a promise of its end
  publish (name, body = null) {
    return this.ask({ type: 'publish', name, body })
  }

  subscribe (event) {
    return this.ask({ type: 'subscribe', event })
  }

  progress (done, total, text = '') {
    return this.ask({ type: 'progress', done, total, text })
  }

  take (message) {
    switch (message.type) {
      case 'hello':
        this.hello = message
        this.settings = message.settings
        return this.tell({ type: 'ready' })
      case 'settings':
        this.settings = message.settings
        return
      case 'event':
        return this.hear(message)
      case 'call':
        return this.answer(message)
      case 'cancel':
        return this.cancelled.add(message.id)
      case 'chunk':
      case 'done':
      case 'failed':
        return this.made.get(message.id)?.(message)
      case 'stop':
        return this.socket.end(() => process.exit(0))
    }
  }

  async answer (message) {
    const call = {
      ...message,
      send: buffer => this.tell({ type: 'chunk', id: message.id, piece: buffer.toString('base64') }),
      make: (method, resource, args) => this.make(message.id, method, resource, args),
      stream: (method, resource, args) => this.stream(message.id, method, resource, args)
    }
    let end
    try {
      const value = await this.methods[message.method].call(this, call, message.arguments)
      end = { type: 'done', id: message.id, value }
    } catch (error) {
      const code = String(error?.code || 'raised') // some have a number
      end = { type: 'failed', id: message.id, code, text: String(error?.message ?? error).slice(0, 200) }
    }
    if (!this.cancelled.delete(message.id)) this.tell(end)
  }

  make (parent, method, resource = '', args = {}) {
    return this.ask({ type: 'call', parent, method, resource, arguments: args })
  }

  ask (message) {
    const id = this.next++
    return new Promise((resolve, reject) => {
      this.made.set(id, end => {
        this.made.delete(id)
        end.type === 'done' ? resolve(end.value) : reject(new CallEnded(end))
      })
      this.tell({ ...message, id })
    })
  }

  async * stream (parent, method, resource = '', args = {}) {
    const id = this.next++
    const come = []
    let ended = false
    let wake = () => {}
    this.made.set(id, message => { come.push(message); wake() })
    this.tell({ type: 'call', id, parent, method, resource, arguments: args, stream: true })
    try {
      for (;;) {
        while (come.length === 0) await new Promise(resolve => { wake = resolve })
        const message = come.shift()
        ended = message.type !== 'chunk'
        if (message.type === 'failed') throw new CallEnded(message)
        if (message.type === 'done') return message.value
        yield Buffer.from(message.piece, 'base64')
      }
    } finally {
      this.made.delete(id)
      if (!ended) this.tell({ type: 'cancel', id })
    }
  }
}

module.exports = { Hand, CallEnded }
