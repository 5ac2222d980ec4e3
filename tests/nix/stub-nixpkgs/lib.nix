# The few functions of nixpkgs' library that our modules and our flake call, written anew for tests without network.
let
  inherit (builtins)
    all
    any
    attrNames
    attrValues
    concatLists
    concatMap
    concatStringsSep
    elem
    filter
    foldl'
    head
    isAttrs
    isBool
    isInt
    isList
    isString
    length
    listToAttrs
    map
    mapAttrs
    replaceStrings
    stringLength
    substring
    ;
in
rec {
  inherit
    all
    any
    attrNames
    attrValues
    concatLists
    concatMap
    concatStringsSep
    elem
    filter
    head
    listToAttrs
    mapAttrs
    ;

  # Sets and lists
  nameValuePair = name: value: { inherit name value; };
  genAttrs = names: f: listToAttrs (map (name: nameValuePair name (f name)) names);
  mapAttrs' = f: set: listToAttrs (map (name: f name set.${name}) (attrNames set));
  mapAttrsToList = f: set: map (name: f name set.${name}) (attrNames set);
  filterAttrs =
    keep: set:
    listToAttrs (
      concatMap (name: if keep name set.${name} then [ (nameValuePair name set.${name}) ] else [ ]) (
        attrNames set
      )
    );
  imap0 = f: values: builtins.genList (i: f i (builtins.elemAt values i)) (length values);
  imap1 = f: values: builtins.genList (i: f (i + 1) (builtins.elemAt values i)) (length values);
  optional = condition: value: if condition then [ value ] else [ ];
  optionals = condition: values: if condition then values else [ ];
  optionalAttrs = condition: set: if condition then set else { };
  optionalString = condition: text: if condition then text else "";
  unique = foldl' (seen: value: if elem value seen then seen else seen ++ [ value ]) [ ];
  foldAttrs = foldl' (all: set: all // set) { };
  attrByPath =
    path: default: set:
    if path == [ ] then
      set
    else if isAttrs set && set ? ${head path} then
      attrByPath (builtins.tail path) default set.${head path}
    else
      default;
  recursiveUpdate =
    left: right:
    left
    // mapAttrs (
      name: value:
      if isAttrs value && isAttrs (left.${name} or null) then
        recursiveUpdate left.${name} value
      else
        value
    ) right;

  # Strings
  concatStrings = concatStringsSep "";
  concatMapStrings = f: values: concatStringsSep "" (map f values);
  concatMapStringsSep =
    separator: f: values:
    concatStringsSep separator (map f values);
  hasPrefix = prefix: text: substring 0 (stringLength prefix) text == prefix;
  hasSuffix =
    suffix: text:
    let
      start = stringLength text - stringLength suffix;
    in
    start >= 0 && substring start (stringLength suffix) text == suffix;
  removePrefix =
    prefix: text:
    if hasPrefix prefix text then
      substring (stringLength prefix) (stringLength text - stringLength prefix) text
    else
      text;
  hasInfix = part: text: replaceStrings [ part ] [ "" ] text != text;
  splitString = separator: text: filter isString (builtins.split (escapeRegex separator) text);
  removeSuffix =
    suffix: text:
    if hasSuffix suffix text then substring 0 (stringLength text - stringLength suffix) text else text;
  escapeShellArg = value: "'" + replaceStrings [ "'" ] [ "'\\''" ] (toString value) + "'";
  escapeShellArgs = values: concatStringsSep " " (map escapeShellArg values);
  escapeRegex =
    text:
    let
      special = [
        "\\"
        "."
        "*"
        "+"
        "?"
        "("
        ")"
        "["
        "]"
        "{"
        "}"
        "^"
        "$"
        "|"
      ];
    in
    replaceStrings special (map (c: "\\" + c) special) text;
  licenses.mit = "MIT";
  platforms.linux = [
    "x86_64-linux"
    "aarch64-linux"
  ];
  getExe = package: "${package}/bin/${package.meta.mainProgram or package.pname or package.name}";
  getExe' = package: name: "${package}/bin/${name}";
  importTOML = path: builtins.fromTOML (builtins.readFile path);
  importJSON = path: builtins.fromJSON (builtins.readFile path);
  warnIf =
    condition: message: value:
    if condition then builtins.trace "warning: ${message}" value else value;
  fileContents = path: removeSuffix "\n" (builtins.readFile path);

  # Properties of definitions
  mkIf = condition: content: {
    _type = "if";
    inherit condition content;
  };
  mkMerge = contents: {
    _type = "merge";
    inherit contents;
  };
  mkOverride = priority: content: {
    _type = "override";
    inherit priority content;
  };
  mkForce = mkOverride 50;
  # The order of lists is not looked at.
  mkBefore = list: list;
  mkDefault = mkOverride 1000;
  mkOptionDefault = mkOverride 1500;

  # Options
  inherit (modules) isOption;
  mkOption = option: option // { _type = "option"; };
  mkEnableOption =
    what:
    mkOption {
      type = types.bool;
      default = false;
      description = "Whether to enable ${what}.";
    };
  literalExpression = text: { inherit text; };

  types =
    let
      # The values that count are equal, or there is one.
      one =
        location: values:
        # A function is not even equal to itself.
        if length values == 1 || all (value: value == head values) values then
          head values
        else
          throw "${location}: conflicting definitions: ${builtins.toJSON values}";
      plain = name: check: {
        inherit name check;
        merge = one;
      };
    in
    rec {
      bool = plain "bool" isBool;
      int = plain "int" isInt;
      str = plain "str" isString;
      path = plain "path" (value: isString value || builtins.isPath value || value ? outPath);
      package = plain "package" (value: isAttrs value && value ? outPath || isString value);
      raw = plain "raw" (_: true);
      # As in NixOS, a function comes out in another one, which does not say what arguments it takes.
      anything = plain "anything" (_: true) // {
        merge =
          location: values:
          if builtins.isFunction (head values) then
            argument: one location (map (value: value argument) values)
          else
            one location values;
      };
      ints.positive = plain "ints.positive" (value: isInt value && value > 0);
      enum =
        values: plain "enum ${builtins.toJSON values}" (value: elem value values) // { inherit values; };
      nullOr = inner: {
        inherit inner;
        name = "nullOr ${inner.name}";
        check = value: value == null || inner.check value;
        merge =
          location: values: if head values == null then one location values else inner.merge location values;
      };
      listOf = inner: {
        inherit inner;
        name = "listOf ${inner.name}";
        check = isList;
        merge =
          location: lists:
          map (value: modules.mergeOption "${location}.*" inner [ value ]) (
            filter (value: modules.strongest [ value ] != [ ]) (concatLists lists)
          );
      };
      attrsOf = inner: {
        inherit inner;
        name = "attrsOf ${inner.name}";
        check = isAttrs;
        merge =
          location: values:
          mapAttrs (name: values: modules.mergeOption "${location}.${name}" inner values) (
            modules.zip values
          );
      };
      submodule = module: {
        name = "submodule";
        options = module.options or { };
        check = isAttrs;
        merge = location: values: modules.mergeSet location (module.options or { }) values;
      };
    };

  modules = rec {
    # name -> every definition of it
    zip =
      sets:
      listToAttrs (
        map (name: {
          inherit name;
          value = map (set: set.${name}) (filter (set: set ? ${name}) sets);
        }) (unique (concatMap attrNames sets))
      );

    # A property around a set, as properties around each of its attributes: which attributes there are must not depend
    # on a condition, since the condition reads the configuration.
    pushDown =
      value:
      if value._type or null == "merge" then
        concatMap pushDown value.contents
      else if value._type or null == "if" then
        map (mapAttrs (_: mkIf value.condition)) (pushDown value.content)
      else if value._type or null == "override" then
        map (mapAttrs (_: mkOverride value.priority)) (pushDown value.content)
      else
        [ value ];

    discharge =
      priority: value:
      if value._type or null == "merge" then
        concatMap (discharge priority) value.contents
      else if value._type or null == "if" then
        if value.condition then discharge priority value.content else [ ]
      else if value._type or null == "override" then
        discharge value.priority value.content
      else
        [ { inherit priority value; } ];

    strongest =
      definitions:
      let
        found = concatMap (discharge 100) definitions;
        best = foldl' (best: def: if def.priority < best then def.priority else best) 9999 found;
      in
      map (def: def.value) (filter (def: def.priority == best) found);

    mergeOption =
      location: type: definitions:
      let
        values = strongest definitions;
        wrong = filter (value: !(type.check value)) values;
      in
      if wrong != [ ] then throw "${location}: not of type ${type.name}" else type.merge location values;

    isOption = value: value._type or null == "option";

    # Whether a definition is a set of further options.
    isSet =
      value:
      if value._type or null == "merge" then
        any isSet value.contents
      else if value._type or null == "if" then
        value.condition && isSet value.content
      else if value._type or null == "override" then
        isSet value.content
      else
        isAttrs value && !(value ? outPath) && !(value ? type && value.type == "derivation");

    # An option that nobody declares: sets are merged, lists are joined, anything else must agree.
    mergeFree =
      location: definitions:
      if any isSet definitions then
        mergeSet location { } definitions
      else
        let
          values = strongest definitions;
        in
        if all isList values && length values > 1 then
          concatLists values
        else if values == [ ] then
          null
        else
          types.anything.merge location values;

    mergeSet =
      location: options: definitions:
      let
        defined = zip (concatMap pushDown definitions);
        here = name: if location == "" then name else "${location}.${name}";
        merge =
          name:
          let
            option = options.${name} or { };
            found = defined.${name} or [ ];
          in
          if isOption option then
            if strongest found != [ ] then
              mergeOption (here name) option.type found
            else
              option.default or (throw "${here name}: used, but not defined")
          else if options ? ${name} then
            mergeSet (here name) option found
          else
            mergeFree (here name) found;
        names = unique (attrNames options ++ attrNames defined);
      in
      # Every name is there: to leave out what is under a condition that does not hold, the condition would have to be
      # known first. What nobody defines in the end is null.
      genAttrs names merge;
  };
}
