// lockstep completion, lockstep manual: made from the same commands, options and texts as --help.
#include <fmt/format.h>

#include <memory>
#include <string>
#include <vector>

#include "services/cli/output.hpp"
#include "services/cli/registry.hpp"

namespace lockstep::cli {

namespace {

std::vector<const CLI::App*> commands_of(const CLI::App& app) {
  std::vector<const CLI::App*> out;
  for (const auto* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (command->get_group() != "Not built yet") out.push_back(command);
  }
  return out;
}

std::string words_of(const CLI::App& app) {
  std::string out;
  for (const auto* command : commands_of(app)) out += command->get_name() + " ";
  for (const auto* option : app.get_options()) {
    for (const auto& name : option->get_lnames()) out += "--" + name + " ";
    for (const auto& name : option->get_snames()) out += "-" + name + " ";
  }
  if (!out.empty()) out.pop_back();
  return out;
}

// The cases of a shell's `case`: which words lead on, and what may stand where.
void add_cases(const CLI::App& app, const std::string& path, std::string& ways,
               std::string& choices) {
  choices += fmt::format("    '{}') words='{}' ;;\n", path, words_of(app));
  for (const auto* command : commands_of(app)) {
    const std::string below = path + "/" + command->get_name();
    ways += (ways.empty() ? "" : "|") + below;
    add_cases(*command, below, ways, choices);
  }
}

std::string bash(const CLI::App& app) {
  std::string ways;
  std::string choices;
  add_cases(app, "", ways, choices);
  return fmt::format(R"sh(# Completion of lockstep for bash, made by `lockstep completion bash`.
_lockstep() {{
  local cur=${{COMP_WORDS[COMP_CWORD]}} path='' words='' i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$path/${{COMP_WORDS[i]}}" in
    {}) path="$path/${{COMP_WORDS[i]}}" ;;
    esac
  done
  case "$path" in
{}  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}}
complete -o bashdefault -o default -F _lockstep lockstep)sh",
                     ways, choices);
}

std::string zsh(const CLI::App& app) {
  std::string text = bash(app);
  // zsh's bashcompinit has compgen and complete, but no mapfile.
  const std::string wanted = "mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")";
  text.replace(text.find(wanted), wanted.size(),
               "COMPREPLY=(${(f)\"$(compgen -W \"$words\" -- \"$cur\")\"})");
  return "#compdef lockstep\nautoload -U +X compinit && compinit -u\n"
         "autoload -U +X bashcompinit && bashcompinit\n" +
         text;
}

// Text in roff: no line may begin with a request, and a backslash begins an escape.
std::string roff(const std::string& text) {
  std::string out;
  bool fresh = true;
  for (const char c : text) {
    if (fresh && (c == '.' || c == '\'')) out += "\\&";
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else {
      out += c;
    }
    fresh = c == '\n';
  }
  return out;
}

void add_manual(const CLI::App& app, const std::string& name, std::string& out) {
  const auto commands = commands_of(app);
  if (commands.empty() || name == "lockstep") {
    out += fmt::format(".SS {}\n{}\n", roff(name), roff(app.get_description()));
    for (const auto* option : app.get_options()) {
      std::string value = option->get_type_size() > 0 ? " " + option->get_type_name() : "";
      if (!option->get_positional() || !option->get_lnames().empty()) {
        out += fmt::format(".TP\n\\fB{}\\fR{}\n{}\n", roff(option->get_name()), roff(value),
                           roff(option->get_description()));
      } else {
        out += fmt::format(".TP\n\\fI{}\\fR\n{}\n", roff(option->get_name(true)),
                           roff(option->get_description()));
      }
    }
    if (!app.get_footer().empty()) {
      out += fmt::format(".PP\n.nf\n{}\n.fi\n", roff(app.get_footer()));
    }
  }
  for (const auto* command : commands) {
    add_manual(*command, name + " " + command->get_name(), out);
  }
}

std::string manual(const CLI::App& app) {
  std::string out =
      ".TH LOCKSTEP 1\n.SH NAME\nlockstep \\- backups of a service's data sets at one moment\n"
      ".SH SYNOPSIS\n.B lockstep\n.I COMMAND\n[options]\n.SH COMMANDS\n";
  add_manual(app, "lockstep", out);
  if (out.ends_with('\n')) out.pop_back();
  return out;
}

}  // namespace

void add_shell(Registry& registry) {
  auto shell = std::make_shared<std::string>();
  CLI::App* completion =
      registry.bare_command("completion", "Completion for a shell, to stdout",
                            "lockstep completion bash > /etc/bash_completion.d/lockstep");
  completion->add_option("SHELL", *shell, "bash or zsh")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh"}));
  registry.on(completion, [&registry, shell]() -> Result<int> {
    print(*shell == "bash" ? bash(registry.app()) : zsh(registry.app()));
    return 0;
  });
  CLI::App* pages = registry.bare_command("manual", "The manual page, for man(1), to stdout",
                                          "lockstep manual > lockstep.1 && man ./lockstep.1");
  registry.on(pages, [&registry]() -> Result<int> {
    print(manual(registry.app()));
    return 0;
  });
}

}  // namespace lockstep::cli
